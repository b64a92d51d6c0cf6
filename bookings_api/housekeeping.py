"""Removes what has outlived its use; beat asks for it once an hour, and twice does no harm."""

from datetime import timedelta

import sqlalchemy as sa
from celery import shared_task

from bookings_api.extensions import db
from bookings_api.models import IdempotencyKey, Session, SingleUseToken, utcnow
from bookings_api.transactions import transaction

IDEMPOTENCY_KEYS_KEPT = timedelta(hours=24)

BEAT_SCHEDULE = {
    "prune": {"task": "housekeeping.prune", "schedule": timedelta(hours=1), "options": {"expires": 3600.0}},
}


@shared_task(name="housekeeping.prune")
def prune() -> None:
    """Delete expired logins and mailed tokens, and idempotency keys that are a day old."""
    now = utcnow()
    with transaction():
        for statement in (
            sa.delete(Session).where(Session.expires_at < now),
            sa.delete(SingleUseToken).where(SingleUseToken.expires_at < now),
            sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < now - IDEMPOTENCY_KEYS_KEPT),
        ):
            db.session.execute(statement, execution_options={"synchronize_session": False})
