"""The statements that take and release tickets, and that write bookings.

Apart from `take` and `release`, only the cancellation of an event and `audit --repair` change `tickets_booked`.
"""

from collections.abc import Mapping
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from bookings_api.database.prepared import BoundStatement, Prepared, insert_into
from bookings_api.models import Booking, BookingItem, Event, Membership, OutboxEmail, TicketType


def take(event: Event, counts: Mapping[UUID, int]) -> list[BoundStatement]:
    """Return the statements that take tickets from a locked event. The caller must check that enough tickets are left.

    `counts` maps the IDs of ticket types to the number of tickets of each type.
    """
    if not counts:
        return []
    return [
        _COUNT_TICKETS.with_values(event_id=event.id, count=sum(counts.values())),
        *(_COUNT_TICKETS_OF_TYPE.with_values(ticket_type_id=one, count=count) for one, count in counts.items()),
    ]


def release(event: Event, counts: Mapping[UUID, int]) -> list[BoundStatement]:
    """Return the statements that give tickets back to a locked event."""
    return take(event, {ticket_type_id: -count for ticket_type_id, count in counts.items()})


def insert_items(booking_id: UUID, counts: Mapping[UUID, int]) -> list[BoundStatement]:
    """Return the statements that insert a booking's items. The booking must not have any yet."""
    return [
        _INSERT_ITEM.with_values(booking_id=booking_id, ticket_type_id=one, count=count)
        for one, count in counts.items()
    ]


INSERT_BOOKING = insert_into(Booking)
# An account's first two bookings may run at the same time, so the membership may already exist.
ADMIT = Prepared(
    "admit_customer",
    postgresql.insert(Membership)
    .values(
        organization_id=sa.bindparam("organization_id", type_=sa.Uuid()),
        user_id=sa.bindparam("user_id", type_=sa.Uuid()),
        is_active=sa.true(),
        version=sa.literal_column("1"),
    )
    .on_conflict_do_nothing(),
)
INSERT_EMAIL = insert_into(
    OutboxEmail, "id", "kind", "recipient", "payload", "booking_id", "user_id", "request_id", "message_id"
)

_INSERT_ITEM = insert_into(BookingItem)


_event_id = sa.bindparam("event_id", type_=sa.Uuid())

_COUNT_TICKETS = Prepared(
    "count_tickets",
    sa.update(Event)
    .where(Event.id == _event_id)
    .values(
        tickets_booked=Event.tickets_booked + sa.bindparam("count", type_=sa.Integer),
        updated_at=sa.func.clock_timestamp(),
    ),
)

_COUNT_TICKETS_OF_TYPE = Prepared(
    "count_tickets_of_type",
    sa.update(TicketType)
    .where(TicketType.id == sa.bindparam("ticket_type_id", type_=sa.Uuid()))
    .values(tickets_booked=TicketType.tickets_booked + sa.bindparam("count", type_=sa.Integer)),
)
