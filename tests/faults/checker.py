"""Compares what clients were told with what the database and the SMTP server hold, in the manner of Jepsen."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx
import sqlalchemy as sa

from bookings_api import audit
from bookings_api.models import Booking, EmailKind, IdempotencyKey, OutboxEmail
from tests.faults.post_office import Copy, PostOffice

# No trial outlasts the retention of mails.
MAILS_KEPT = timedelta(days=90)


@dataclass
class History:
    """What clients know of their orders, each by its Idempotency-Key; for any number of threads."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, key: str) -> None:
        """Before the first request under a key: from now on there may be a booking."""
        with self._lock:
            self.unknown.add(key)

    def note(self, key: str, answer: httpx.Response | None) -> bool:
        """What came back, None for a broken connection; True once the client knows what became of its order."""
        with self._lock:
            self.answers["none" if answer is None else str(answer.status_code)] += 1
            if answer is None or answer.status_code >= 500 or answer.status_code == 429:
                return False
            if answer.status_code == 201:
                self.acknowledged[key] = answer.json()["reference"]
            elif answer.json()["code"] == "request-in-flight":
                return False
            self.unknown.discard(key)
            return True


def violations(
    database: sa.Engine, post_office: PostOffice, history: History, events: set[UUID], *, repeats: int | None = None
) -> list[str]:
    """What must not be, one line each, once all mail is out.

    Every 201 is a row; every row was acknowledged or its answer is unknown; the data breaks no rule of the audit; one
    confirmation mail for each booking. `repeats` is how many mails may have come twice; None: any number.
    """
    with database.connect() as connection:
        return [
            *_of_bookings(connection, history, events),
            *(str(violation) for violation in audit.violations(connection, mails_since=MAILS_KEPT)),
            *_of_mails(connection, post_office, events, repeats),
        ]


def _of_bookings(connection: sa.Connection, history: History, events: set[UUID]) -> list[str]:
    rows = set(connection.scalars(sa.select(Booking.reference).where(Booking.event_id.in_(events))))
    acknowledged = list(history.acknowledged.values())
    stored = IdempotencyKey.response["reference"].as_string()
    unknown = set(connection.scalars(sa.select(stored).where(IdempotencyKey.key.in_(history.unknown))))
    return [
        *(f"booking {reference} was acknowledged and is gone" for reference in {*acknowledged} - rows),
        *(f"booking {reference} is nobody's" for reference in rows - {*acknowledged} - unknown),
        *(f"booking {reference} answers {n} keys" for reference, n in Counter(acknowledged).items() if n > 1),
    ]


def _of_mails(connection: sa.Connection, post_office: PostOffice, events: set[UUID], repeats: int | None) -> list[str]:
    copies: Counter[str] = Counter()
    for copy, count in post_office.copies().items():
        assert isinstance(copy, Copy)
        copies[copy.message_id] += count
    query = (
        sa.select(Booking.reference, OutboxEmail.message_id)
        .outerjoin(
            OutboxEmail, (OutboxEmail.booking_id == Booking.id) & (OutboxEmail.kind == EmailKind.BOOKING_CONFIRMED)
        )
        .where(Booking.event_id.in_(events))
    )
    mails = connection.execute(query).all()
    rows = Counter(mail.reference for mail in mails)
    repeated = sum(max(0, copies[mail.message_id] - 1) for mail in mails)
    return [
        *(f"booking {reference} has {count} confirmations" for reference, count in rows.items() if count != 1),
        *(f"booking {mail.reference} was not confirmed by mail" for mail in mails if not copies[mail.message_id]),
        *([f"{repeated} mails came twice"] if repeats is not None and repeated > repeats else []),
    ]
