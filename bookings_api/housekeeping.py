"""Removes what has outlived its use; beat asks for it once an hour, and twice does no harm."""

from datetime import timedelta

import sqlalchemy as sa
from celery import shared_task
from flask import current_app

from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import IdempotencyKey, Login, OneTimeToken, utcnow

IDEMPOTENCY_KEYS_KEPT = timedelta(hours=24)
MAILS_AT_ONCE = 5000

BEAT_SCHEDULE = {
    "prune": {"task": "housekeeping.prune", "schedule": timedelta(hours=1), "options": {"expires": 3600.0}},
}


@shared_task(name="housekeeping.prune")
def prune() -> None:
    """Delete expired logins and mailed tokens, idempotency keys that are a day old, and mails sent long ago."""
    now = utcnow()
    with transaction():
        for statement in (
            sa.delete(Login).where(Login.expires_at < now),
            sa.delete(OneTimeToken).where(OneTimeToken.expires_at < now),
            sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < now - IDEMPOTENCY_KEYS_KEPT),
        ):
            db.session.execute(statement, execution_options={"synchronize_session": False})
    kept = timedelta(days=current_app.config["MAIL_RETENTION_DAYS"])
    is_done = False
    while not is_done:  # in steps, each of which holds its locks for a moment only
        with transaction():
            is_done = outbox.delete_sent(kept_for=kept, limit=MAILS_AT_ONCE) < MAILS_AT_ONCE
