"""Mail that is never lost: wording (`messages`), rows (`outbox`), Celery (`tasks`), SMTP (`smtp`)."""
