"""The rows of the outbox: written with what caused them, claimed by one worker at a time, closed with the outcome.

A row is never skipped, and deleted only long after it was sent; whoever sends it has claimed it first. So no mail is
lost, and two workers, two sweeps, or a task that Celery delivers twice do not send it twice.

Every moment here is the database's, so that machines whose clocks differ agree on what is due.
"""

import random
from datetime import timedelta
from email.utils import parseaddr
from functools import cache
from typing import Any, NotRequired, TypedDict, Unpack
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import aliased
from uuid_utils.compat import uuid7

from bookings_api.database.transactions import Transaction, require_transaction
from bookings_api.extensions import db
from bookings_api.mail import smtp
from bookings_api.models import UNSENT, EmailKind, EmailStatus, OutboxEmail, utcnow
from bookings_api.observability.logging import current_request_id

# A worker that holds a mail for longer than sending it may take, and this for the database, counts as dead.
RECORDING = timedelta(seconds=30)
MAX_ERROR = 1000
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=2)
# Mails that met the same trouble do not all come back at the same moment.
JITTER = 0.25


class NewEmail(TypedDict):
    """What callers say about an email; `request_id` defaults to the current request's."""

    kind: EmailKind
    recipient: str
    payload: dict[str, Any]
    booking_id: NotRequired[UUID | None]
    user_id: NotRequired[UUID | None]
    broadcast_id: NotRequired[UUID | None]
    request_id: NotRequired[str | None]


def email_columns(**email: Unpack[NewEmail]) -> dict[str, Any]:
    """The columns of a new row, for a caller that inserts it itself."""
    email_id = uuid7()
    return {
        "booking_id": None,
        "user_id": None,
        "broadcast_id": None,
        **email,
        "id": email_id,
        "request_id": email.get("request_id") or current_request_id(),
        "message_id": f"<{email_id}@{_domain_of(current_app.config['MAIL_FROM'])}>",
    }


@cache
def _domain_of(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2]


def add_email(**email: Unpack[NewEmail]) -> OutboxEmail:
    """Write an email with `email_columns(...)` into the open transaction.

    Raises `RuntimeError` outside a transaction.
    """
    require_transaction()
    row = OutboxEmail(**email_columns(**email))
    db.session.add(row)
    return row


def queue_email(tx: Transaction, **email: Unpack[NewEmail]) -> OutboxEmail:
    """Write an email with `email_columns(...)`; a worker sends it after the commit."""
    row = add_email(**email)
    tx.after_commit(wake_worker)
    return row


def wake_worker() -> None:
    """Ask a worker to look for due emails. Never fails: if Redis is away, beat's next sweep finds them."""
    current_app.extensions["worker_notifier"].wake()


def lease() -> timedelta:
    """For how long a claim holds."""
    return smtp.time_limit() + RECORDING


def is_due() -> sa.ColumnElement[bool]:
    """That a mail may be sent now.

    Its time has come, and no earlier mail about the same booking still waits for the same recipient: a confirmation
    never comes after the cancellation. Of a kind that only a newer release has words for, that one sends it.
    """
    earlier = aliased(OutboxEmail)
    is_held_back = (
        sa.select(earlier.id)
        .where(
            earlier.booking_id == OutboxEmail.booking_id,
            earlier.recipient == OutboxEmail.recipient,
            earlier.id < OutboxEmail.id,
            earlier.status.in_(UNSENT),
        )
        .exists()
    )
    return sa.and_(
        OutboxEmail.status.in_(UNSENT),
        OutboxEmail.next_attempt_at <= sa.func.now(),
        OutboxEmail.kind.in_(EmailKind),
        ~is_held_back,
    )


# Built once: SQLAlchemy would take longer to build it than PostgreSQL to run it.
_CLAIM_NEXT = (
    sa.update(OutboxEmail)
    .where(
        OutboxEmail.id
        == sa.select(OutboxEmail.id)
        .where(is_due())
        .order_by(OutboxEmail.attempts > 0, OutboxEmail.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(
        status=EmailStatus.SENDING,
        attempts=OutboxEmail.attempts + 1,
        next_attempt_at=sa.func.now() + sa.bindparam("lease", type_=sa.Interval),
    )
    .returning(OutboxEmail)
)
# Statistics that are a minute old know nothing of ten thousand new mails, and would have them all sorted for each
# claim, instead of taking the first one of the index.
_BY_THE_INDEX = sa.text("SET LOCAL enable_sort = off")


def claim_next() -> OutboxEmail | None:
    """Take the mail that is due for longest, for this worker alone until the lease ends; None when nothing is due.

    New mail goes before what has failed before, which so holds up nobody. What another worker is claiming at this
    moment is passed over, not waited for.
    """
    require_transaction()
    db.session.execute(_BY_THE_INDEX)
    # what an earlier read of this session left in memory is older than the row
    claimed = db.session.scalars(_CLAIM_NEXT, {"lease": lease()}, execution_options={"populate_existing": True})
    mail = claimed.one_or_none()
    if mail is not None:
        # it stays what was claimed: after a rollback the session would read the row again, and with it the claim
        # that another worker may have by then
        db.session.expunge(mail)
    return mail


def mark_sent(mail: OutboxEmail) -> bool:
    """The SMTP server has taken the mail. False if the claim was lost: then another worker says how it ended."""
    return _close_claim(mail, status=EmailStatus.SENT, sent_at=sa.func.now(), last_error=None)


def mark_deferred(mail: OutboxEmail, error: str) -> bool:
    """It did not work this time: try again after 30 s, doubled each time, up to 2 h. False if the claim was lost."""
    return _close_claim(
        mail,
        status=EmailStatus.PENDING,
        last_error=_storable(error),
        next_attempt_at=sa.func.now() + backoff(mail.attempts),
    )


def mark_failed(mail: OutboxEmail, error: str) -> bool:
    """It will never work: the server refused this mail for good. False if the claim was lost."""
    return _close_claim(mail, status=EmailStatus.FAILED, last_error=_storable(error))


def drop(mail: OutboxEmail) -> bool:
    """There is nobody to send it to: forget it. False if the claim was lost."""
    require_transaction()
    return _count(sa.delete(OutboxEmail).where(*_is_claim_of(mail))) == 1


def backoff(attempts: int) -> timedelta:
    """How long to wait after that many attempts: between 30 s and 2 h, and never quite the same twice."""
    steady: timedelta = min(FIRST_BACKOFF * 2 ** min(attempts - 1, 10), LONGEST_BACKOFF / (1 + JITTER))
    return steady * random.uniform(1, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing


def retry_failed() -> int:
    """Give every failed mail all its attempts again, from now on; returns how many there were."""
    return _start_over(OutboxEmail.status == EmailStatus.FAILED, attempts=0)


def retry_deferred() -> int:
    """Let mails that wait after an attempt be due now, as when the SMTP server is back; returns how many."""
    return _start_over((OutboxEmail.status == EmailStatus.PENDING) & (OutboxEmail.next_attempt_at > sa.func.now()))


def prune_sent(*, kept: timedelta, limit: int) -> int:
    """Delete up to `limit` mails that were sent longer ago than `kept`, the oldest first; returns how many."""
    require_transaction()
    until = utcnow() - kept
    # a mail was written before it was sent, and its key begins with that moment: so the primary key finds the old ones
    first_key_after = UUID(int=int(until.timestamp() * 1000) << 80)
    old = (
        sa.select(OutboxEmail.id)
        .where(OutboxEmail.id < first_key_after, OutboxEmail.status == EmailStatus.SENT, OutboxEmail.sent_at < until)
        .order_by(OutboxEmail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _count(sa.delete(OutboxEmail).where(OutboxEmail.id.in_(old.scalar_subquery())))


def _start_over(concerned: sa.ColumnElement[bool], **values: Any) -> int:
    return _count(
        sa.update(OutboxEmail)
        .where(concerned)
        .values(status=EmailStatus.PENDING, next_attempt_at=sa.func.now(), **values)
    )


def _count(statement: sa.Update | sa.Delete) -> int:
    require_transaction()
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)  # type: ignore[attr-defined] # it has one for UPDATE and DELETE


def _storable(error: str) -> str:
    """PostgreSQL holds no NUL, and a server may answer anything, of any length."""
    return error.replace("\0", "")[:MAX_ERROR]


def _close_claim(mail: OutboxEmail, **outcome: Any) -> bool:
    """Record the outcome of this very claim, told by the end of its lease; one that outlived it has nothing to say."""
    require_transaction()
    closing = sa.update(OutboxEmail).where(*_is_claim_of(mail)).values(**outcome).returning(OutboxEmail.id)
    closed = db.session.scalars(closing, execution_options={"synchronize_session": False})
    return closed.one_or_none() is not None


def _is_claim_of(mail: OutboxEmail) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        OutboxEmail.id == mail.id,
        OutboxEmail.status == EmailStatus.SENDING,
        OutboxEmail.next_attempt_at == mail.next_attempt_at,
    )
