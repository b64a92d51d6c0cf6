"""Emails. A service writes each email to the outbox in its own transaction, and a Celery worker sends the email.

    service        outbox.queue_email(tx, ...)       inserts a row in the service's transaction
       | commit
       v
    web process    notifier.WorkerNotifier           publishes a Celery message (beat also does so every 10 seconds)
       |
       v
    worker         tasks.drain                       runs until no email is due
                   delivery.send_due_emails          for each email:
                     claims.claim_next                 claim the row, with a lease
                     claims.claim_joined_emails        claim the emails to send in the same message
                     outdated.bring_up_to_date         update the email, or drop it if it is outdated
                     messages.render                   fill in the templates
                     mime.compose                      build the MIME message, with an invitation from calendar.itip
                     smtp.MailSender.send              send it to the mail server
                     claims.record                     record the outcome: sent, failed, dropped or pending

Emails to all guests of an event start as one row (`broadcasts`). Beat also starts the tasks that write `reminders` and
report overdue emails (`status`).
"""
