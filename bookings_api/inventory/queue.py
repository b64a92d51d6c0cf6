"""A summary of an event's waiting list, which decides whether a new order must wait as well."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.prepared import BoundStatement, Prepared, run
from bookings_api.inventory.access import IS_REVOKED
from bookings_api.inventory.person_limit import COUNTED, tickets_where
from bookings_api.models import Booking, BookingItem, Event, TicketType, WaitlistPolicy
from bookings_api.models.booking import mailbox


class Queue(NamedTuple):
    """The parties on a waiting list: their number, their tickets, and the types that they want.

    `claims` are the tickets of each type that new orders must leave to waiting parties. With the policy `first_fit`,
    there are no claims, because no waiting party can use the tickets that are left. People who can get no more tickets
    and parties that have become too large have no claims either.
    """

    parties: int
    tickets: int
    types: Collection[UUID]
    claims: Mapping[UUID, int]


NOBODY = Queue(0, 0, (), {})


def queue_of(event: Event) -> Queue:
    """Read the waiting list of a locked event."""
    return queue_from(run(read_queue(event.id)))


def read_queue(event_id: UUID) -> BoundStatement:
    """Return the statement whose rows `queue_from` converts."""
    return _QUEUE.with_values(event_id=event_id)


def queue_from(rows: list[tuple[Any, ...]]) -> Queue:
    [(parties, tickets, types, claims)] = rows
    return Queue(parties, tickets, [UUID(one) for one in types], {UUID(one): count for one, count in claims.items()})


_need = sa.func.coalesce(Booking.accept_fewer, Booking.ticket_count)
_of_event = COUNTED.c.event_id == Booking.event_id
# two subqueries instead of one with OR, so that each can use an index
_tickets_of_person = sa.case(
    (
        Booking.user_id.is_not(None),
        tickets_where(_of_event, COUNTED.c.user_id == Booking.user_id).scalar_subquery(),
    ),
    else_=tickets_where(
        _of_event,
        COUNTED.c.api_key_id.is_not(None),
        mailbox(COUNTED.c.guest_email) == mailbox(Booking.guest_email),
    ).scalar_subquery(),
)
_exceeds_type = sa.exists().where(
    BookingItem.booking_id == Booking.id,
    TicketType.id == BookingItem.ticket_type_id,
    TicketType.capacity < sa.func.coalesce(Booking.accept_fewer, BookingItem.count),
)
_waiting = (
    sa.select(
        Booking.id,
        Booking.ticket_count,
        Booking.accept_fewer,
        # evaluated in this order, because the last condition is expensive
        sa.case(
            (Event.waitlist_policy != sa.literal_column(f"'{WaitlistPolicy.STRICT}'"), sa.false()),
            (_need > Event.capacity, sa.false()),
            (_exceeds_type | IS_REVOKED, sa.false()),
            (Event.max_tickets_per_person.is_(None), sa.true()),
            else_=_tickets_of_person + _need <= Event.max_tickets_per_person,
        ).label("has_claim"),
    )
    .join(Event, Event.id == Booking.event_id)
    .where(Booking.event_id == sa.bindparam("event_id", type_=sa.Uuid()), Booking.is_waiting)
    .cte("waiting")
)


# the tickets of each type that are kept for waiting parties
_by_type = (
    sa.select(
        BookingItem.ticket_type_id.label("type"),
        sa.func.sum(sa.func.coalesce(_waiting.c.accept_fewer, BookingItem.count))
        .filter(_waiting.c.has_claim)
        .label("claimed"),
    )
    .join(_waiting, _waiting.c.id == BookingItem.booking_id)
    .group_by(BookingItem.ticket_type_id)
    .cte("by_type")
)
_QUEUE = Prepared(
    "waiting_parties",
    sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(_waiting.c.ticket_count), 0, type_=sa.BigInteger),
        sa.select(sa.func.coalesce(sa.func.array_agg(sa.cast(_by_type.c.type, sa.Text)), sa.text("'{}'::text[]")))
        .correlate(None)
        .scalar_subquery(),
        sa.select(
            sa.func.coalesce(
                sa.func.jsonb_object_agg(_by_type.c.type, _by_type.c.claimed).filter(_by_type.c.claimed.is_not(None)),
                sa.text("'{}'::jsonb"),
            )
        )
        .correlate(None)
        .scalar_subquery(),
    ).select_from(_waiting),
)
