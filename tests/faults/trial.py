"""One fault, from the bookings before it to the count after it."""

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
from tests.faults.checker import History, violations
from tests.faults.harness import PATIENCE_SECONDS, Site, wait_until
from tests.faults.post_office import Copy
from tests.polling import meanwhile

RETRY_SECONDS = 0.1
# The service is as good as ever so soon after what it needs is.
RECOVERY_SECONDS = 10


@dataclass(frozen=True)
class Post:
    """What became of the confirmation mails of all confirmed bookings, counted at the SMTP server."""

    expected: int
    lost: int = 0
    duplicates: int = 0


@dataclass
class Trial:
    """Books tickets of one event over HTTP, and knows what the database and the SMTP server hold of it."""

    site: Site
    http: httpx.Client
    event_id: str
    calm: list[float] = field(default_factory=list)
    troubled: list[float] = field(default_factory=list)
    history: History = field(default_factory=History)
    references: list[str] = field(default_factory=list)
    name: str | None = None
    is_troubled: bool = False

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Bookings in here count as made during the fault, which the report calls by this name."""
        self.name, self.is_troubled = name, True
        yield
        self.is_troubled = False

    @property
    def answers(self) -> Counter[str]:
        """How often clients that ask again and again were answered what."""
        return self.history.answers

    def book(self, count: int = 10) -> None:
        """Each must be confirmed at the first attempt."""
        for _ in range(count):
            began = time.monotonic()
            answer = self.order()
            assert answer is not None
            assert answer.status_code == 201, answer.text
            self._note(answer, time.monotonic() - began)

    @contextmanager
    def clients(self, count: int = 4) -> Iterator[None]:
        """Clients that book one ticket after the other, and ask for each until it is confirmed."""
        with meanwhile(*[self.book_until_confirmed] * count):
            yield

    def await_recovery(self, *, url: str | None = None) -> None:
        """Within `RECOVERY_SECONDS` nothing is refused any more, whichever process is asked."""
        began, events = time.monotonic(), [f"{url or self.site.url}/api/v1/events/"] * 24
        with ThreadPoolExecutor(8) as pool:  # each on a connection of its own, so that every process gets some
            while {answer.status_code for answer in pool.map(httpx.get, events)} != {200}:
                assert time.monotonic() - began < RECOVERY_SECONDS, self.answers
        for _ in range(10):
            self.book_until_confirmed(url=url)

    def book_until_confirmed(self, *, url: str | None = None) -> None:
        """One booking, under one Idempotency-Key however often it is asked for."""
        key, began = str(uuid4()), time.monotonic()
        while True:
            answer = self.order(key, url=url)
            if answer is not None and answer.status_code == 201:
                break
            assert time.monotonic() - began < 60, self.answers
            time.sleep(RETRY_SECONDS)
        self._note(answer, time.monotonic() - began)

    def order(self, key: str | None = None, *, url: str | None = None) -> httpx.Response | None:
        """Ask once for a ticket, whatever comes of it; None for a connection that broke. `url` is another server's."""
        key = key or str(uuid4())
        self.history.ask(key)
        path = f"{url}/api/v1/bookings/" if url else "/bookings/"
        try:
            answer = self.http.post(path, json={"event_id": self.event_id}, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            answer = None
        self.history.note(key, answer)
        return answer

    def violations(self) -> list[str]:
        """What the service did not hold of its promises; see `checker`. Tests judge of mails that came twice."""
        return violations(self.site.database, self.site.post_office, self.history, {UUID(self.event_id)})

    def await_delivery(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the SMTP server has the mail of every confirmed booking, and the outbox says so."""
        wait_until(lambda: not self.unsent() and not self.post().lost, seconds=seconds)

    def unsent(self) -> list[OutboxEmail]:
        """What the outbox still has to send."""
        return [mail for mail in self.mails() if mail.status in UNSENT]

    def mails(self) -> list[OutboxEmail]:
        """The rows of the confirmation mails."""
        query = (
            sa.select(OutboxEmail)
            .join(Booking, Booking.id == OutboxEmail.booking_id)
            .where(Booking.event_id == UUID(self.event_id), OutboxEmail.kind == EmailKind.BOOKING_CONFIRMED)
        )
        with sa.orm.Session(self.site.database) as session:
            return list(session.scalars(query))

    def post(self) -> Post:
        """Count mails by the reference of the booking; every copy of one bears the Message-ID of its row."""
        booked = sa.select(Booking.reference, OutboxEmail.message_id).outerjoin(OutboxEmail).where(
            Booking.event_id == UUID(self.event_id), Booking.status == BookingStatus.CONFIRMED
        )  # fmt: skip
        with self.site.database.connect() as connection:
            bookings = connection.execute(booked).all()
        assert {row.reference for row in bookings} >= set(self.references), "a confirmed booking is gone"
        copies = self.site.post_office.copies()
        arrived = [copies[Copy(row.message_id, f"Your booking {row.reference}: {EVENT['title']}")] for row in bookings]
        ours = {row.message_id for row in bookings}
        assert sum(arrived) == sum(count for copy, count in copies.items() if copy.message_id in ours)
        return Post(
            expected=len(bookings), lost=arrived.count(0), duplicates=sum(count - 1 for count in arrived if count)
        )

    def line_of_report(self) -> dict[str, Any]:
        """What to tell of it; times are milliseconds."""
        post, calm, troubled = self.post(), median(self.calm), self.troubled
        return {
            "fault": self.name,
            "expected": post.expected,
            "received": post.expected - post.lost,
            "lost": post.lost,
            "duplicates": post.duplicates,
            "calm": calm * 1000,
            "median": median(troubled) * 1000,
            "max": max(troubled) * 1000,
            "ratio": median(troubled) / calm,
        }

    def _note(self, answer: httpx.Response, seconds: float) -> None:
        self.references.append(answer.json()["reference"])
        (self.troubled if self.is_troubled else self.calm).append(seconds)


@contextmanager
def new_trial(site: Site) -> Iterator[Trial]:
    """An event with seats for everybody, and somebody who books."""
    with httpx.Client(base_url=f"{site.url}/api/v1", timeout=60) as http:
        organizer = _log_in(http, is_organizer=True)
        event = http.post("/events/", json={**EVENT, "capacity": 100_000}, headers=organizer)
        assert event.status_code == 201, event.text
        http.headers.update(_log_in(http, is_organizer=False))
        yield Trial(site, http, event.json()["id"])


def _log_in(http: httpx.Client, *, is_organizer: bool) -> dict[str, str]:
    account = {"email": new_email(), "password": PASSWORD}
    signup = http.post("/auth/signup", json={**account, "name": "Ada Lovelace", "is_organizer": is_organizer})
    assert signup.status_code == 201, signup.text
    token = http.post("/auth/login", json=account).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}
