"""Races many buyers against few seats, and counts afterwards what is really in the tables."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.models import Base, Booking, BookingStatus, Event

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
