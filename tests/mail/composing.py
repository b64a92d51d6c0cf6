"""Composes emails like a worker, but without a database."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from bookings_api.mail.messages import render
from bookings_api.mail.mime import compose
from bookings_api.models import EmailKind, OutboxEmail

BOOKING_ID = UUID("01940000-0000-7000-8000-000000000001")

PAYLOAD: dict[str, Any] = {
    "reference": "K7M3PTW9XA",
    "guest_name": "Grace Hopper",
    "ticket_count": 2,
    "items": [{"name": "General admission", "count": 2, "price": 0}],
    "amount_due": 0,
    "currency": None,
    "held_until": "2099-05-01T10:00:00+00:00",
    "position": 3,
    "tickets_ahead": 5,
    "was_waitlisted": False,
    "was_confirmed": True,
    "booking_version": 1,
    "buyer_name": "Uri Levin",
    "buyer_email": "uri@example.com",
    "event_title": "An Evening of Chamber Music",
    "location": "Konzerthaus Berlin",
    "timezone": "Europe/Berlin",
    "contact_name": "Olivia Organizer",
    "contact_email": "concerts@example.com",
    "starts_at": "2099-06-19T17:30:00+00:00",
    "ends_at": "2099-06-19T20:00:00+00:00",
    "event_version": 1,
}

# Values for a booking that costs money.
PRICED: dict[str, Any] = {
    "ticket_count": 3,
    "tickets": "2 Balcony, 1 Front row",
    "items": [{"name": "Balcony", "count": 2, "price": 3000}, {"name": "Front row", "count": 1, "price": 4550}],
    "amount_due": 10550,
    "currency": "EUR",
}

# Additional values in emails about an account.
ACCOUNT_PAYLOAD: dict[str, Any] = {
    "name": "Grace Hopper",
    "invited_by": "Olivia Organizer",
    "organization": "Chamber Music Society",
    "role": "organizer",
    "is_active": False,
    "url": "https://example.com/accept?token=THE-TOKEN",
    "token": "THE-TOKEN",
}


def row(kind: EmailKind = EmailKind.BOOKING_CONFIRMED, **payload: Any) -> OutboxEmail:
    """Return an outbox row whose payload is `PAYLOAD` with changes. `recipient` is a column."""
    recipient = payload.pop("recipient", "grace@example.com")
    return OutboxEmail(
        kind=kind,
        recipient=recipient,
        payload=PAYLOAD | ACCOUNT_PAYLOAD | payload,
        booking_id=BOOKING_ID,
        created_at=datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC),
        message_id="<1@example.com>",
    )


def composed(email: OutboxEmail) -> bytes:
    """Return the bytes to send."""
    return compose(email, render(email.kind, email.payload)).as_bytes()


def received(raw: bytes) -> EmailMessage:
    """Return the message as a mail program parses it."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message
