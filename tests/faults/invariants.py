"""Compares the responses clients received with the database and the SMTP server, as Jepsen does."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx
import sqlalchemy as sa

from bookings_api import audit
from bookings_api.models import Booking, EmailKind, IdempotencyKey, OutboxEmail
from tests.faults.smtp_server import EmailHeaders, FaultySmtpServer

# Longer than any run, shorter than the retention of sent emails.
EMAILS_SINCE = timedelta(days=90)


@dataclass
class History:
    """What clients know about their bookings, by Idempotency-Key. Thread-safe."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    responses: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record_request(self, key: str) -> None:
        """Call before the first request with a key: from now on the booking may exist."""
        with self._lock:
            self.unknown.add(key)

    def record_response(self, key: str, response: httpx.Response | None) -> bool:
        """Record a response, or None for a broken connection. Returns whether the outcome is now known."""
        with self._lock:
            self.responses["none" if response is None else str(response.status_code)] += 1
            if response is None or response.status_code >= 500 or response.status_code == 429:
                return False
            if response.status_code == 201:
                self.acknowledged[key] = response.json()["reference"]
            self.unknown.discard(key)
            return True


def violations(
    database: sa.Engine, smtp: FaultySmtpServer, history: History, events: set[UUID], *, max_repeats: int | None = None
) -> list[str]:
    """Return one line per broken invariant. Call it once all emails are sent.

    Every 201 has a row; every row was acknowledged or its outcome is unknown to the client; the audit finds nothing;
    every booking has one confirmation email. At most `max_repeats` emails arrived twice (None: any number).
    """
    with database.connect() as connection:
        return [
            *_booking_violations(connection, history, events),
            *(str(violation) for violation in audit.violations(connection, emails_since=EMAILS_SINCE)),
            *_email_violations(connection, smtp, events, max_repeats),
        ]


def _booking_violations(connection: sa.Connection, history: History, events: set[UUID]) -> list[str]:
    rows = set(connection.scalars(sa.select(Booking.reference).where(Booking.event_id.in_(events))))
    acknowledged = list(history.acknowledged.values())
    stored = IdempotencyKey.response["reference"].as_string()
    unknown = set(connection.scalars(sa.select(stored).where(IdempotencyKey.key.in_(history.unknown))))
    return [
        *(f"booking {reference} was acknowledged but is missing" for reference in {*acknowledged} - rows),
        *(f"booking {reference} belongs to no request" for reference in rows - {*acknowledged} - unknown),
        *(f"booking {reference} was returned for {n} keys" for reference, n in Counter(acknowledged).items() if n > 1),
    ]


def _email_violations(
    connection: sa.Connection, smtp: FaultySmtpServer, events: set[UUID], max_repeats: int | None
) -> list[str]:
    copies: Counter[str] = Counter()
    for headers, count in smtp.copies().items():
        assert isinstance(headers, EmailHeaders)
        copies[headers.message_id] += count
    query = (
        sa.select(Booking.reference, OutboxEmail.message_id)
        .outerjoin(
            OutboxEmail, (OutboxEmail.booking_id == Booking.id) & (OutboxEmail.kind == EmailKind.BOOKING_CONFIRMED)
        )
        .where(Booking.event_id.in_(events))
    )
    emails = connection.execute(query).all()
    rows = Counter(email.reference for email in emails)
    repeated = sum(max(0, copies[email.message_id] - 1) for email in emails)
    return [
        *(f"booking {reference} has {count} confirmations" for reference, count in rows.items() if count != 1),
        *(
            f"booking {email.reference} has no delivered confirmation"
            for email in emails
            if not copies[email.message_id]
        ),
        *([f"{repeated} emails arrived twice"] if max_repeats is not None and repeated > max_repeats else []),
    ]
