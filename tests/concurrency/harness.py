"""Races many buyers against few seats, and counts afterwards what is really in the tables."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any
from uuid import UUID

import httpx
import sqlalchemy as sa

from bookings_api.models import Base, Booking, BookingStatus, Event
from tests.factories import Account

# One attempt of one buyer: takes the buyer's number and says how it ended.
Attempt = Callable[[int], str]


def race(attempt: Attempt, *, clients: int) -> Mapping[str, int]:
    """Let all clients go at the same moment; how often each outcome happened."""
    start = Barrier(clients)

    def run(number: int) -> str:
        start.wait()
        return attempt(number)

    with ThreadPoolExecutor(clients) as pool:
        return Counter(pool.map(run, range(clients)))


def outcome_of(answer: Any) -> str:
    """An answer, of httpx or of the test client, in short: `201`, or `409 sold-out`.

    Whoever else is at it at the same moment, nobody may be answered that the service is broken.
    """
    assert answer.status_code < 500, answer.text
    return str(answer.status_code) if answer.status_code < 400 else f"{answer.status_code} {_code_of(answer)}"


def _code_of(answer: Any) -> str:
    code = json.loads(answer.text)["code"]
    assert isinstance(code, str)
    return code


@dataclass(frozen=True)
class Seats:
    """An event's seats: its own count of what is booked, and what its confirmed bookings hold."""

    capacity: int
    counted: int
    held: int


def seats_of(database: sa.Engine, event: Mapping[str, Any]) -> Seats:
    """What is in the tables now."""
    held = sa.select(sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0)).where(
        Booking.event_id == Event.id, Booking.status == BookingStatus.CONFIRMED
    )
    query = sa.select(Event.capacity, Event.tickets_booked, held.scalar_subquery()).where(Event.id == UUID(event["id"]))
    with database.connect() as connection:
        return Seats(*connection.execute(query).one())


def oversold_tickets(database: sa.Engine, event: Mapping[str, Any]) -> int:
    """How many more tickets the event's confirmed bookings hold than it has; counted from the bookings."""
    held = sa.select(sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0)).where(
        Booking.event_id == UUID(event["id"]), Booking.status == BookingStatus.CONFIRMED
    )
    with database.connect() as connection:
        return max(0, connection.scalars(held).one() - int(event["capacity"]))


def counter_of(database: sa.Engine, event: Mapping[str, Any]) -> int:
    """The event's own count of booked tickets."""
    with database.connect() as connection:
        return connection.scalars(sa.select(Event.tickets_booked).where(Event.id == UUID(event["id"]))).one()


def count_of(database: sa.Engine, model: type[Base]) -> int:
    """How many rows a table has."""
    with database.connect() as connection:
        return connection.scalars(sa.select(sa.func.count()).select_from(model)).one()


@dataclass(frozen=True)
class Call:
    """A request that takes part in a collision; `name` is what its outcome is counted under."""

    name: str
    account: Account
    method: str
    path: str
    body: Mapping[str, Any] | None = None


def collide(http: httpx.Client, *calls: Call) -> Mapping[str, int]:
    """Send all at the same moment; how often each outcome happened, for example `book 409 sold-out`."""

    def attempt(number: int) -> str:
        call = calls[number]
        answer = http.request(call.method, call.path, headers=dict(call.account.headers), json=call.body)
        return f"{call.name} {outcome_of(answer)}"

    return race(attempt, clients=len(calls))
