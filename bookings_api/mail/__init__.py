"""Mail that is never lost: wording (`messages`, `links`), rows (`outbox`, `notices`), Celery `tasks`, `smtp`."""
