"""Runs simultaneous requests, then reads the resulting rows."""

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
from tests.factories import Account, Key

# One attempt of one client: takes the client's number and returns the outcome.
Attempt = Callable[[int], str]


def race(attempt: Attempt, *, clients: int) -> Mapping[str, int]:
    """Start all clients at the same time. Returns how often each outcome occurred."""
    start = Barrier(clients)

    def run(number: int) -> str:
        start.wait()
        return attempt(number)

    with ThreadPoolExecutor(clients) as pool:
        return Counter(pool.map(run, range(clients)))


def outcome_of(response: Any) -> str:
    """Return the status and problem code of a response: `201` or `409 sold-out`. Fails for server errors."""
    assert response.status_code < 500, response.text
    return str(response.status_code) if response.status_code < 400 else f"{response.status_code} {_code_of(response)}"


def _code_of(response: Any) -> str:
    code = json.loads(response.text)["code"]
    assert isinstance(code, str)
    return code


@dataclass(frozen=True)
class Tickets:
    """An event's capacity, its counter of booked tickets, and the sum of its confirmed bookings."""

    capacity: int
    counted: int
    held: int


def tickets_of(database: sa.Engine, event: Mapping[str, Any]) -> Tickets:
    """Read an event's ticket numbers from the tables."""
    held = sa.select(sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0)).where(
        Booking.event_id == Event.id, Booking.status == BookingStatus.CONFIRMED
    )
    query = sa.select(Event.capacity, Event.tickets_booked, held.scalar_subquery()).where(Event.id == UUID(event["id"]))
    with database.connect() as connection:
        return Tickets(*connection.execute(query).one())


def oversold_tickets(database: sa.Engine, event: Mapping[str, Any]) -> int:
    """Return by how many tickets the confirmed bookings exceed the event's capacity."""
    held = sa.select(sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0)).where(
        Booking.event_id == UUID(event["id"]), Booking.status == BookingStatus.CONFIRMED
    )
    with database.connect() as connection:
        return max(0, connection.scalars(held).one() - int(event["capacity"]))


def counter_of(database: sa.Engine, event: Mapping[str, Any]) -> int:
    """Return the event's counter of booked tickets."""
    with database.connect() as connection:
        return connection.scalars(sa.select(Event.tickets_booked).where(Event.id == UUID(event["id"]))).one()


def count_of(database: sa.Engine, model: type[Base]) -> int:
    """Return the number of rows in a table."""
    with database.connect() as connection:
        return connection.scalars(sa.select(sa.func.count()).select_from(model)).one()


@dataclass(frozen=True)
class Call:
    """A request that takes part in a collision; its outcome is counted under `name`."""

    name: str
    account: Account | Key
    method: str
    path: str
    body: Mapping[str, Any] | None = None


def collide(http: httpx.Client, *calls: Call) -> Mapping[str, int]:
    """Send all calls at the same time. Returns how often each outcome occurred, such as `book 409 sold-out`."""

    def attempt(number: int) -> str:
        call = calls[number]
        response = http.request(call.method, call.path, headers=dict(call.account.headers), json=call.body)
        return f"{call.name} {outcome_of(response)}"

    return race(attempt, clients=len(calls))
