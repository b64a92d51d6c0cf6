"""Sends emails through an outbox.

A service adds each email to the outbox, in the same transaction as the change that causes the email. After the commit,
a Celery worker sends the email.

    service        outbox.queue_email(tx, ...)       inserts a row in the service's transaction
       | commit
       v
    web process    notifier.WorkerNotifier           publishes a Celery message (beat also does so every 10 seconds)
       |
       v
    worker         tasks.drain                       runs until no email is due, or for 10 seconds
                   delivery.send_due_emails          for each email:
                     claims.claim_next                 claim the row, with a lease
                     claims.claim_joined_emails        claim the emails to send in the same message
                     outdated.bring_up_to_date         update the email, or drop it if it is outdated
                     messages.render                   fill in the templates
                     mime.compose                      build the MIME message, with a calendar from calendar.itip
                     smtp.MailSender.send              send it to the mail server
                     claims.record                     record the outcome: sent, failed, dropped or pending

An email to all guests of an event starts as one row, which `broadcasts` expands into one email per booking. Beat also
starts the tasks that write reminders (`reminders`) and log overdue emails (`status`).
"""
