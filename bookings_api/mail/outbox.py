"""The rows of the outbox: written with what caused them, claimed by one worker at a time, closed with the outcome.

A row is never deleted or skipped here, and whoever sends it has claimed it first: so no mail is lost, and two
workers, two sweeps, or a task that Celery delivers twice do not send it twice.
"""

from collections.abc import Sequence
from datetime import timedelta
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
# How long Celery has for a mail that the sweep gave it, before the sweep gives it again.
HAND_OVER_AGAIN = timedelta(seconds=60)
# A worker that holds a mail for longer than every step of SMTP may take counts as dead: connecting, greeting, EHLO,
# STARTTLS, EHLO, AUTH in three, MAIL, RCPT, DATA, the message, QUIT, and some for the database.
SMTP_STEPS = 16
MAX_ERROR = 1000
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=2)


def put(
    *,
    kind: MailKind,
    recipient: str,
    facts: dict[str, Any],
    booking_id: UUID | None = None,
    user_id: UUID | None = None,
    notice_id: UUID | None = None,
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
        notice_id=notice_id,
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
        mail.next_attempt_at = now + SMTP_STEPS * timedelta(seconds=current_app.config["MAIL_TIMEOUT"])
    return mail


def take_due(*, limit: int) -> list[tuple[UUID, str | None]]:
    """Reserve unsent mails whose time has come, for handing them to Celery; the longest due first.

    Returns ids, and ids of the requests that caused them. A mail is reserved by one sweep at a time, so that a
    queue nobody works on is not filled with the same mails over and over.
    """
    require_transaction()
    now = utcnow()
    due = (
        sa.select(OutboxMail.id)
        .where(
            OutboxMail.status.in_(UNSENT),
            OutboxMail.next_attempt_at <= now,
            sa.or_(OutboxMail.handed_over_at.is_(None), OutboxMail.handed_over_at <= now - HAND_OVER_AGAIN),
        )
        .order_by(OutboxMail.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = (
        sa.update(OutboxMail)
        .where(OutboxMail.id.in_(due.scalar_subquery()))
        .values(handed_over_at=now)
        .returning(OutboxMail.id, OutboxMail.request_id, OutboxMail.next_attempt_at)
    )
    rows = db.session.execute(taken, execution_options={"synchronize_session": False}).all()
    return [(row.id, row.request_id) for row in sorted(rows, key=lambda row: row.next_attempt_at)]


def give_back(mail_ids: Sequence[UUID]) -> None:
    """Undo a reservation: Celery did not take these, so the next sweep may try at once."""
    require_transaction()
    db.session.execute(
        sa.update(OutboxMail).where(OutboxMail.id.in_(mail_ids)).values(handed_over_at=None),
        execution_options={"synchronize_session": False},
    )


def mark_sent(mail: OutboxMail) -> bool:
    """The SMTP server has taken the mail. False if the claim was lost: then another worker says how it ended."""
    return _close_claim(mail, status=MailStatus.SENT, sent_at=utcnow(), last_error=None)


def mark_deferred(mail: OutboxMail, error: str) -> bool:
    """It did not work this time: try again after 30 s, doubled each time, up to 2 h. False if the claim was lost."""
    wait = min(FIRST_BACKOFF * 2 ** min(mail.attempts - 1, 10), LONGEST_BACKOFF)
    return _close_claim(
        mail,
        status=MailStatus.PENDING,
        last_error=_storable(error),
        next_attempt_at=utcnow() + wait,
        handed_over_at=None,
    )


def mark_failed(mail: OutboxMail, error: str) -> bool:
    """It will never work: the server refused this mail for good. False if the claim was lost."""
    return _close_claim(mail, status=MailStatus.FAILED, last_error=_storable(error))


def _storable(error: str) -> str:
    """PostgreSQL holds no NUL, and a server may answer anything, of any length."""
    return error.replace("\0", "")[:MAX_ERROR]


def _close_claim(mail: OutboxMail, **outcome: Any) -> bool:
    """Record the outcome of this very attempt; one that took longer than its lease has nothing to say any more."""
    require_transaction()
    ours = sa.update(OutboxMail).where(
        OutboxMail.id == mail.id, OutboxMail.status == MailStatus.SENDING, OutboxMail.attempts == mail.attempts
    )
    return db.session.scalars(ours.values(**outcome).returning(OutboxMail.id)).one_or_none() is not None
