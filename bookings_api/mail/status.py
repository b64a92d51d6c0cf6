"""Reads the state of the outbox for operators, metrics and the log."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from bookings_api.extensions import db
from bookings_api.mail.claims import is_due
from bookings_api.models import UNSENT, EmailStatus, EventBroadcast, OutboxEmail

logger = logging.getLogger(__name__)

OVERDUE = timedelta(minutes=5)


@dataclass(frozen=True)
class OutboxState:
    """The number of emails by status, the number of unfinished broadcasts, and the longest waiting times.

    `oldest_unsent` is the age of the oldest email that is pending or being sent. `oldest_due` is the longest time that
    an email has been due. Both treat an unfinished broadcast like an email, and are zero if nothing is waiting.
    """

    emails: Mapping[EmailStatus, int]
    unfinished_broadcasts: int
    oldest_unsent: timedelta
    oldest_due: timedelta


def outbox_state() -> OutboxState:
    """Read the state of the outbox.

    The number of sent emails is computed from the total, because no index covers sent emails.
    """
    statuses = [status for status in EmailStatus if status is not EmailStatus.SENT]
    counts: dict[EmailStatus, int] = {status: _count(OutboxEmail.status == status) for status in statuses}
    counts[EmailStatus.SENT] = _count(sa.true()) - sum(counts.values())
    unfinished = sa.select(sa.func.count()).select_from(EventBroadcast).where(EventBroadcast.finished_at.is_(None))
    return OutboxState(
        emails={status: counts[status] for status in EmailStatus},
        unfinished_broadcasts=db.session.scalars(unfinished).one(),
        oldest_unsent=_age_of_oldest(OutboxEmail.created_at, OutboxEmail.status.in_(UNSENT)),
        oldest_due=_age_of_oldest(OutboxEmail.next_attempt_at, is_due()),
    )


def log_overdue_emails() -> None:
    """Log an error if an email or an unfinished broadcast has been due for longer than `OVERDUE`."""
    age = _age_of_oldest(OutboxEmail.next_attempt_at, is_due())
    if age > OVERDUE:
        log_fields = {"oldest_due_seconds": round(age.total_seconds())}
        logger.error("emails are overdue by up to %.0f minutes", age.total_seconds() / 60, extra=log_fields)


def _count(condition: sa.ColumnElement[bool]) -> int:
    return db.session.scalars(sa.select(sa.func.count()).select_from(OutboxEmail).where(condition)).one()


def _age_of_oldest(since: InstrumentedAttribute[datetime], condition: sa.ColumnElement[bool]) -> timedelta:
    """Return the age of the oldest matching email (by its column `since`) or unfinished broadcast (by its `due_at`)."""
    emails = sa.select(sa.func.min(since).label("since")).where(condition)
    broadcasts = sa.select(sa.func.min(EventBroadcast.due_at)).where(EventBroadcast.finished_at.is_(None))
    earliest = emails.union_all(broadcasts).subquery().c.since
    age = db.session.scalars(sa.select(sa.type_coerce(sa.func.now() - sa.func.min(earliest), sa.Interval))).one()
    return max(age or timedelta(0), timedelta(0))
