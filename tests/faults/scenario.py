"""One fault scenario: bookings before and during the fault, and what arrived in the end."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa

from bookings_api.models import UNSENT, Booking, BookingStatus, EmailKind, OutboxEmail
from tests.factories import EVENT, PASSWORD, new_email
from tests.faults.cluster import Cluster
from tests.faults.invariants import History, violations
from tests.faults.smtp_server import EmailHeaders
from tests.http_client import http_client
from tests.polling import PATIENCE_SECONDS, repeated_in_background, wait_until

RETRY_SECONDS = 0.1
# How soon after the end of a fault the service must work normally again.
RECOVERY_SECONDS = 10


@dataclass(frozen=True)
class Delivery:
    """Confirmation emails of all confirmed bookings, counted at the SMTP server."""

    expected: int
    lost: int = 0
    duplicates: int = 0


@dataclass
class Scenario:
    """Books tickets for one event over HTTP and compares the result with the database and the SMTP server."""

    cluster: Cluster
    http: httpx.Client
    event_id: str
    baseline: list[float] = field(default_factory=list)
    during_fault: list[float] = field(default_factory=list)
    history: History = field(default_factory=History)
    references: list[str] = field(default_factory=list)
    name: str | None = None
    is_faulty: bool = False

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Count bookings in this block as made during the fault `name`."""
        self.name, self.is_faulty = name, True
        yield
        self.is_faulty = False

    @property
    def responses(self) -> Counter[str]:
        """How often each status code was returned to clients."""
        return self.history.responses

    def book(self, count: int = 10) -> None:
        """Book `count` times. Each booking must succeed at the first attempt."""
        for _ in range(count):
            began = time.monotonic()
            response = self.request_booking()
            assert response is not None
            assert response.status_code == 201, response.text
            self._record(response, time.monotonic() - began)

    @contextmanager
    def clients(self, count: int = 4) -> Iterator[None]:
        """Run clients that book continuously and retry each booking until it is confirmed."""
        with repeated_in_background(*[self.book_until_confirmed] * count):
            yield

    def wait_for_recovery(self, *, url: str | None = None) -> None:
        """Wait until every process responds normally, at most `RECOVERY_SECONDS`."""
        began, events = time.monotonic(), [f"{url or self.cluster.url}/api/v1/events/"] * 24
        with ThreadPoolExecutor(8) as pool:  # each on a new connection, so every process gets some
            while {response.status_code for response in pool.map(httpx.get, events)} != {200}:
                assert time.monotonic() - began < RECOVERY_SECONDS, self.responses
        for _ in range(10):
            self.book_until_confirmed(url=url)

    def book_until_confirmed(self, *, url: str | None = None) -> None:
        """Book once, retrying with the same Idempotency-Key."""
        key, began = str(uuid4()), time.monotonic()
        while True:
            response = self.request_booking(key, url=url)
            if response is not None and response.status_code == 201:
                break
            assert time.monotonic() - began < PATIENCE_SECONDS, self.responses
            time.sleep(RETRY_SECONDS)
        self._record(response, time.monotonic() - began)

    def request_booking(self, key: str | None = None, *, url: str | None = None) -> httpx.Response | None:
        """Send one booking request. Returns None for a broken connection. `url` selects another server."""
        key = key or str(uuid4())
        self.history.record_request(key)
        path = f"{url}/api/v1/bookings/" if url else "/bookings/"
        try:
            response = self.http.post(path, json={"event_id": self.event_id}, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            response = None
        self.history.record_response(key, response)
        return response

    def violations(self) -> list[str]:
        """Return broken invariants (see `invariants.violations`), without counting duplicate emails."""
        return violations(self.cluster.database, self.cluster.smtp, self.history, {UUID(self.event_id)})

    def wait_for_delivery(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the SMTP server has accepted every confirmation and the outbox has recorded it."""
        wait_until(lambda: not self.unsent() and not self.delivery().lost, seconds=seconds)

    def unsent(self) -> list[OutboxEmail]:
        """Confirmations that are still in the outbox."""
        return [email for email in self.confirmations() if email.status in UNSENT]

    def confirmations(self) -> list[OutboxEmail]:
        """The outbox rows of the confirmations."""
        query = (
            sa.select(OutboxEmail)
            .join(Booking, Booking.id == OutboxEmail.booking_id)
            .where(Booking.event_id == UUID(self.event_id), OutboxEmail.kind == EmailKind.BOOKING_CONFIRMED)
        )
        with sa.orm.Session(self.cluster.database) as session:
            return list(session.scalars(query))

    def delivery(self) -> Delivery:
        """Count accepted emails by booking. All copies of an email have the Message-ID of its outbox row."""
        booked = sa.select(Booking.reference, OutboxEmail.message_id).outerjoin(OutboxEmail).where(
            Booking.event_id == UUID(self.event_id), Booking.status == BookingStatus.CONFIRMED
        )  # fmt: skip
        with self.cluster.database.connect() as connection:
            bookings = connection.execute(booked).all()
        assert {row.reference for row in bookings} >= set(self.references), "a confirmed booking is missing"
        copies = self.cluster.smtp.copies()
        arrived = [
            copies[EmailHeaders(row.message_id, f"Your booking {row.reference} is confirmed: {EVENT['title']}")]
            for row in bookings
        ]
        ours = {row.message_id for row in bookings}
        assert sum(arrived) == sum(count for headers, count in copies.items() if headers.message_id in ours)
        return Delivery(
            expected=len(bookings), lost=arrived.count(0), duplicates=sum(count - 1 for count in arrived if count)
        )

    def report_row(self) -> dict[str, Any]:
        """The row for the report. Times are in milliseconds."""
        delivery, baseline, during_fault = self.delivery(), median(self.baseline), self.during_fault
        return {
            "fault": self.name,
            "expected": delivery.expected,
            "received": delivery.expected - delivery.lost,
            "lost": delivery.lost,
            "duplicates": delivery.duplicates,
            "baseline": baseline * 1000,
            "median": median(during_fault) * 1000,
            "max": max(during_fault) * 1000,
            "ratio": median(during_fault) / baseline,
        }

    def _record(self, response: httpx.Response, seconds: float) -> None:
        self.references.append(response.json()["reference"])
        (self.during_fault if self.is_faulty else self.baseline).append(seconds)


@contextmanager
def new_scenario(cluster: Cluster) -> Iterator[Scenario]:
    """Create an event with enough tickets, and a logged-in user who books."""
    with http_client(f"{cluster.url}/api/v1") as http:
        organizer = log_in(http, is_organizer=True)
        event = http.post("/events/", json={**EVENT, "capacity": 100_000}, headers=organizer)
        assert event.status_code == 201, event.text
        http.headers.update(log_in(http, is_organizer=False))
        yield Scenario(cluster, http, event.json()["id"])


def log_in(http: httpx.Client, *, is_organizer: bool) -> dict[str, str]:
    """Create an account, and return the headers of its requests."""
    account = {"email": new_email(), "password": PASSWORD}
    signup = http.post("/auth/signup", json={**account, "name": "Ada Lovelace", "is_organizer": is_organizer})
    assert signup.status_code == 201, signup.text
    token = http.post("/auth/login", json=account).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}
