"""The hourly task that deletes expired rows and finishes the erasure of deleted accounts."""

from datetime import timedelta

import sqlalchemy as sa
from celery import shared_task
from flask import current_app

from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.mail import erasure, outbox
from bookings_api.models import IdempotencyKey, Login, OneTimeToken
from bookings_api.users.erasure import erase_late_bookings

KEEP_IDEMPOTENCY_KEYS = timedelta(hours=24)
EMAILS_PER_TRANSACTION = 5000

BEAT_SCHEDULE = {
    "cleanup": {"task": "cleanup.delete_expired", "schedule": timedelta(hours=1), "options": {"expires": 3600.0}},
}


@shared_task(name="cleanup.delete_expired")
def delete_expired() -> None:
    """Delete expired logins, one-time tokens, idempotency keys and emails, and finish erasing deleted accounts.

    Idempotency keys expire after `KEEP_IDEMPOTENCY_KEYS`. Sent and dropped emails expire after `MAIL_RETENTION_DAYS`.
    Failed emails are kept. Bookings and emails that could not be erased together with their account are erased here.
    """
    now = sa.func.now()
    with transaction():
        for statement in (
            sa.delete(Login).where(Login.expires_at < now),
            sa.delete(OneTimeToken).where(OneTimeToken.expires_at < now),
            sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEEP_IDEMPOTENCY_KEYS),
        ):
            db.session.execute(statement, execution_options={"synchronize_session": False})
        erase_late_bookings()
        erasure.finish()
    kept_for = timedelta(days=current_app.config["MAIL_RETENTION_DAYS"])
    is_done = False
    while not is_done:  # in batches, so that no transaction holds locks for long
        with transaction():
            deleted = outbox.delete_old(kept_for=kept_for, limit=EMAILS_PER_TRANSACTION)
        is_done = deleted < EMAILS_PER_TRANSACTION
