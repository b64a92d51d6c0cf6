"""The rows of the outbox: written with what caused them, claimed by one worker at a time, closed with the outcome.

A row is never deleted or skipped here, and whoever sends it has claimed it first: so no mail is lost, and two
workers, two sweeps, or a task that Celery delivers twice do not send it twice.
"""

from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from uuid_utils.compat import uuid7

from bookings_api.extensions import db
from bookings_api.models import UNSENT, MailKind, MailStatus, OutboxMail, utcnow
from bookings_api.observability import current_request_id
from bookings_api.transactions import require_transaction

# How long the direct way through Celery has before the sweep takes a new mail for left behind.
FIRST_GRACE = timedelta(seconds=15)
# How long a worker may hold a mail before it counts as dead; longer than every SMTP timeout together.
LEASE = timedelta(minutes=5)
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=2)


def put(
    *,
    kind: MailKind,
    recipient: str,
    facts: dict[str, Any],
    booking_id: UUID | None = None,
    user_id: UUID | None = None,
) -> OutboxMail:
    """Write a mail into the open transaction; without the commit there is no mail.

    Raises `RuntimeError` outside a transaction.
    """
    require_transaction()
    mail_id = uuid7()
    domain = parseaddr(current_app.config["MAIL_FROM"])[1].rpartition("@")[2]
    mail = OutboxMail(
        id=mail_id,
        kind=kind,
        recipient=recipient,
        facts=facts,
        booking_id=booking_id,
        user_id=user_id,
        request_id=current_request_id(),
        next_attempt_at=utcnow() + FIRST_GRACE,
        message_id=f"<{mail_id}@{domain}>",
    )
    db.session.add(mail)
    return mail


def claim(mail_id: UUID) -> OutboxMail | None:
    """Take an unsent mail for this worker until its lease ends.

    None when it is sent, failed, held by another worker, or backing off after an attempt.
    """
    require_transaction()
    now = utcnow()
    query = (
        sa.select(OutboxMail)
        .where(
            OutboxMail.id == mail_id,
            OutboxMail.status.in_(UNSENT),
            sa.or_(OutboxMail.attempts == 0, OutboxMail.next_attempt_at <= now),
        )
        .with_for_update(skip_locked=True)
    )
    mail = db.session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if mail is not None:
        mail.status = MailStatus.SENDING
        mail.attempts += 1
        mail.next_attempt_at = now + LEASE
    return mail


def due_mails(*, limit: int) -> list[tuple[UUID, str | None]]:
    """Ids, and ids of the requests that caused them, of unsent mails whose time has come, the longest due first."""
    query = (
        sa.select(OutboxMail.id, OutboxMail.request_id)
        .where(OutboxMail.status.in_(UNSENT), OutboxMail.next_attempt_at <= utcnow())
        .order_by(OutboxMail.next_attempt_at)
        .limit(limit)
    )
    return [(row.id, row.request_id) for row in db.session.execute(query)]


def mark_sent(mail: OutboxMail) -> None:
    """The SMTP server has taken the mail."""
    mail.status = MailStatus.SENT
    mail.sent_at = utcnow()
    mail.last_error = None


def mark_deferred(mail: OutboxMail, error: str) -> datetime:
    """It did not work this time; returns when it is tried again: 30 s, doubled each time, up to 2 h."""
    mail.status = MailStatus.PENDING
    mail.last_error = error
    mail.next_attempt_at = utcnow() + min(FIRST_BACKOFF * 2 ** min(mail.attempts - 1, 10), LONGEST_BACKOFF)
    return mail.next_attempt_at


def mark_failed(mail: OutboxMail, error: str) -> None:
    """It will never work: the server refused this mail for good."""
    mail.status = MailStatus.FAILED
    mail.last_error = error
