"""The statements that count tickets. The caller must have locked the event.

Apart from these, only the cancellation of an event and `audit --repair` change `tickets_booked` and `tickets_held`.
"""

from collections.abc import Mapping
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.prepared import BoundStatement, Prepared
from bookings_api.models import BookingStatus, Event, TicketType


def take(event: Event, counts: Mapping[UUID, int], status: BookingStatus) -> list[BoundStatement]:
    """Return the statements that take tickets for a booking. The caller must check that enough tickets are left.

    `counts` maps the IDs of ticket types to the number of tickets of each type. They are counted as held for a `held`
    booking, and as booked for a `confirmed` booking. Bookings with any other status have no tickets.
    """
    booked, held = int(status is BookingStatus.CONFIRMED), int(status is BookingStatus.HELD)
    return _count(event, counts, booked=booked, held=held)


def release(event: Event, counts: Mapping[UUID, int], status: BookingStatus) -> list[BoundStatement]:
    """Return the statements that give back the tickets of a booking with this status."""
    return take(event, {ticket_type_id: -count for ticket_type_id, count in counts.items()}, status)


def turn_held_into_booked(event: Event, counts: Mapping[UUID, int]) -> list[BoundStatement]:
    """Return the statements that turn held tickets into booked tickets."""
    return _count(event, counts, booked=1, held=-1)


def _count(event: Event, counts: Mapping[UUID, int], *, booked: int, held: int) -> list[BoundStatement]:
    if not counts or not (booked or held):
        return []
    total = sum(counts.values())
    return [
        _COUNT_TICKETS.with_values(event_id=event.id, booked=booked * total, held=held * total),
        *(
            _COUNT_TICKETS_OF_TYPE.with_values(ticket_type_id=one, booked=booked * count, held=held * count)
            for one, count in counts.items()
        ),
    ]


_booked, _held = sa.bindparam("booked", type_=sa.Integer), sa.bindparam("held", type_=sa.Integer)

_COUNT_TICKETS = Prepared(
    "count_tickets",
    sa.update(Event)
    .where(Event.id == sa.bindparam("event_id", type_=sa.Uuid()))
    .values(
        tickets_booked=Event.tickets_booked + _booked,
        tickets_held=Event.tickets_held + _held,
        updated_at=sa.func.clock_timestamp(),
    ),
)

_COUNT_TICKETS_OF_TYPE = Prepared(
    "count_tickets_of_type",
    sa.update(TicketType)
    .where(TicketType.id == sa.bindparam("ticket_type_id", type_=sa.Uuid()))
    .values(tickets_booked=TicketType.tickets_booked + _booked, tickets_held=TicketType.tickets_held + _held),
)
