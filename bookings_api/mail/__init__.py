"""Emails: written as rows with what causes them, sent by Celery workers.

    service        outbox.queue_email(tx, ...)       inserts a row in the service's transaction
       | commit
       v
    web process    notifier.WorkerNotifier           publishes a Celery message; beat also does, every 10 seconds
       |
       v
    worker         tasks.drain                       runs until no email is due
                   delivery.send_due_emails          for each email:
                     claims.claim_next                 claim the row, with a lease
                     messages.render, mime.compose     words and bytes, with calendar.itip's invitation
                     smtp.MailSender.send              hand it to the mail server
                     claims.record                     store the outcome: sent, failed, or pending again

Emails to all guests of an event start as one row (`broadcasts`). Beat triggers `reminders` and watches the outbox
(`status`).
"""
