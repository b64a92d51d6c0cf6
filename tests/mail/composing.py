"""Mails composed as the worker does it, without a database."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from bookings_api.mail.messages import render
from bookings_api.mail.mime import compose
from bookings_api.models import MailKind, OutboxMail

BOOKING_ID = UUID("01940000-0000-7000-8000-000000000001")

FACTS: dict[str, Any] = {
    "reference": "K7M3PTW9XA",
    "guest_name": "Grace Hopper",
    "ticket_count": 2,
    "booking_version": 1,
    "event_title": "An Evening of Chamber Music",
    "location": "Konzerthaus Berlin",
    "timezone": "Europe/Berlin",
    "starts_at": "2099-06-19T17:30:00+00:00",
    "ends_at": "2099-06-19T20:00:00+00:00",
    "event_version": 1,
}


# What only mails about an account say.
ACCOUNT_FACTS: dict[str, Any] = {
    "name": "Grace Hopper",
    "invited_by": "Olivia Organizer",
    "role": "organizer",
    "is_active": False,
    "url": "https://example.com/accept?token=THE-TOKEN",
    "token": "THE-TOKEN",
}


def row(kind: MailKind = MailKind.BOOKING_CONFIRMED, **facts: Any) -> OutboxMail:
    """A row of the outbox; `facts` replace those of `FACTS`, and None takes one away. `recipient` is no fact."""
    recipient = facts.pop("recipient", "grace@example.com")
    merged = {name: fact for name, fact in (FACTS | ACCOUNT_FACTS | facts).items() if fact is not None}
    return OutboxMail(
        kind=kind,
        recipient=recipient,
        facts=merged,
        booking_id=BOOKING_ID,
        created_at=datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC),
        message_id="<1@example.com>",
    )


def composed(mail: OutboxMail) -> bytes:
    """The bytes that travel."""
    return compose(mail, render(mail.kind, mail.facts)).as_bytes()


def received(raw: bytes) -> EmailMessage:
    """What a mail program reads."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message
