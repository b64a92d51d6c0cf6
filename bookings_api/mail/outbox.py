"""The outbox. Each email is a row, inserted in the same transaction as the change that causes the email.

An email is therefore sent only if the change is committed. Sent and dropped emails are kept for `MAIL_RETENTION_DAYS`.
"""

from collections.abc import Sequence
from datetime import timedelta
from email.utils import parseaddr
from functools import cache
from typing import Any, NotRequired, TypedDict, Unpack
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from uuid_utils.compat import uuid7

from bookings_api.database.clock import database_time
from bookings_api.database.transactions import Transaction, require_transaction
from bookings_api.extensions import db
from bookings_api.models import EmailKind, EmailStatus, OutboxEmail
from bookings_api.observability.logging import current_request_id

_IS_DEFERRED = (OutboxEmail.status == EmailStatus.PENDING) & (OutboxEmail.next_attempt_at > sa.func.now())


class NewEmail(TypedDict):
    """The arguments for a new email. `request_id` defaults to the ID of the current request."""

    kind: EmailKind
    recipient: str
    payload: dict[str, Any]
    booking_id: NotRequired[UUID | None]
    user_id: NotRequired[UUID | None]
    broadcast_id: NotRequired[UUID | None]
    event_id: NotRequired[UUID | None]
    request_id: NotRequired[str | None]


def queue_email(tx: Transaction, **email: Unpack[NewEmail]) -> OutboxEmail:
    """Add an email to the outbox. After the commit, a worker sends the email.

    If the email is about a booking, other waiting emails about the booking become due (see `recheck_waiting`).
    """
    if booking_id := email.get("booking_id"):
        recheck_waiting([booking_id])
    row = add_email(**email)
    tx.after_commit(wake_worker)
    return row


def add_email(**email: Unpack[NewEmail]) -> OutboxEmail:
    """Add an email to the outbox without waking a worker. Raises `RuntimeError` outside a transaction."""
    require_transaction()
    row = OutboxEmail(**email_columns(**email))
    db.session.add(row)
    return row


def email_columns(**email: Unpack[NewEmail]) -> dict[str, Any]:
    """Return the columns of a new row, for callers that insert the row themselves.

    All attempts to send the email use the same Message-ID, so that mail servers can detect duplicates.
    """
    email_id = uuid7()
    return {
        "booking_id": None,
        "user_id": None,
        "broadcast_id": None,
        "event_id": None,
        **email,
        "id": email_id,
        "request_id": email.get("request_id") or current_request_id(),
        "message_id": f"<{email_id}@{_domain_of(current_app.config['MAIL_FROM'])}>",
    }


def recheck_waiting(booking_ids: Sequence[UUID]) -> None:
    """Make emails about these bookings due immediately if they are waiting for another attempt.

    Call this before adding a new email about a booking. The new email may make the earlier emails outdated, and must
    wait until they are sent or dropped.
    """
    _make_due((OutboxEmail.booking_id.in_(booking_ids)) & _IS_DEFERRED)


@cache
def _domain_of(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2]


def wake_worker() -> None:
    """Ask a worker to check the outbox now. Never fails."""
    current_app.extensions["worker_notifier"].wake()


def retry_failed() -> int:
    """Make all failed emails due again, with the full number of attempts. Returns the number of emails."""
    return _make_due(OutboxEmail.status == EmailStatus.FAILED, attempts=0)


def retry_deferred() -> int:
    """Make all waiting emails due now, for example after an outage. Returns the number of emails."""
    return _make_due(_IS_DEFERRED)


def delete_old(*, kept_for: timedelta, limit: int) -> int:
    """Delete at most `limit` emails that were sent or dropped more than `kept_for` ago. Returns the number deleted."""
    require_transaction()
    until = database_time() - kept_for
    # UUIDv7 IDs begin with the time of creation, so the index of the primary key finds old rows
    first_id_after = UUID(int=int(until.timestamp() * 1000) << 80)
    old = (
        sa.select(OutboxEmail.id)
        .where(
            OutboxEmail.id < first_id_after,
            OutboxEmail.status.in_([EmailStatus.SENT, EmailStatus.DROPPED]),
            sa.func.coalesce(OutboxEmail.sent_at, OutboxEmail.updated_at) < until,
        )
        .order_by(OutboxEmail.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    # a CTE runs once; depending on the plan, a subquery would run repeatedly and exceed its limit
    return _execute(sa.delete(OutboxEmail).where(OutboxEmail.id.in_(sa.select(old.cte().c.id))))


def _make_due(condition: sa.ColumnElement[bool], **values: Any) -> int:
    return _execute(
        sa.update(OutboxEmail)
        .where(condition)
        .values(status=EmailStatus.PENDING, next_attempt_at=sa.func.now(), **values)
    )


def _execute(statement: sa.Update | sa.Delete) -> int:
    require_transaction()
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)  # type: ignore[attr-defined] # exists for UPDATE and DELETE
