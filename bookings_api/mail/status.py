"""How the outbox stands: for operators, metrics and the log."""

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

LATE = timedelta(minutes=5)


@dataclass(frozen=True)
class OutboxState:
    """Mails by status; notices to all guests of an event that are not written out yet; and since when mail waits.

    `oldest_unsent` is the age of the oldest mail that has neither arrived nor failed, `oldest_due` how long the one
    has been due that waits longest for a worker; both are zero when there is none.
    """

    mails: Mapping[EmailStatus, int]
    unfinished_broadcasts: int
    oldest_unsent: timedelta
    oldest_due: timedelta


def outbox_state() -> OutboxState:
    """Count everything; by the indexes, since what was sent in months may be millions of rows."""
    counts = {status: _count(OutboxEmail.status == status) for status in (*UNSENT, EmailStatus.FAILED)}
    counts[EmailStatus.SENT] = _count(sa.true()) - sum(counts.values())
    unfinished = sa.select(sa.func.count()).select_from(EventBroadcast).where(EventBroadcast.finished_at.is_(None))
    return OutboxState(
        mails={status: counts[status] for status in EmailStatus},
        unfinished_broadcasts=db.session.scalars(unfinished).one(),
        oldest_unsent=_age_of_oldest(OutboxEmail.created_at, OutboxEmail.status.in_(UNSENT)),
        oldest_due=_age_of_oldest(OutboxEmail.next_attempt_at, is_due()),
    )


def log_overdue_emails() -> None:
    """Log an error if a mail has been due, or a notice unwritten, for longer than `LATE`."""
    waits = _age_of_oldest(OutboxEmail.next_attempt_at, is_due())
    if waits > LATE:
        minutes = waits.total_seconds() / 60
        log_fields = {"oldest_due_seconds": round(waits.total_seconds())}
        logger.error("mail is late: the oldest has been due for %.0f minutes", minutes, extra=log_fields)


def _count(concerned: sa.ColumnElement[bool]) -> int:
    return db.session.scalars(sa.select(sa.func.count()).select_from(OutboxEmail).where(concerned)).one()


def _age_of_oldest(moment: InstrumentedAttribute[datetime], concerned: sa.ColumnElement[bool]) -> timedelta:
    """How long ago the earliest `moment` of those mails was, or a notice was made that is not written out yet."""
    mails = sa.select(sa.func.min(moment).label("since")).where(concerned)
    notices = sa.select(sa.func.min(EventBroadcast.created_at)).where(EventBroadcast.finished_at.is_(None))
    since = mails.union_all(notices).subquery().c.since
    age = db.session.scalars(sa.select(sa.type_coerce(sa.func.now() - sa.func.min(since), sa.Interval))).one()
    return max(age or timedelta(0), timedelta(0))
