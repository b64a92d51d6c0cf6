"""What a newcomer must know about the parties that wait for an event's tickets."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.prepared import BoundStatement, Prepared, run
from bookings_api.inventory.person_limit import COUNTED, tickets_where
from bookings_api.models import Booking, BookingItem, BookingStatus, Event, TicketType, WaitlistPolicy
from bookings_api.models.booking import mailbox


class Queue(NamedTuple):
    """The parties on a waiting list: their number, their tickets and the types that they want.

    `largest_need` and `claimed_types` describe only the parties that others must wait behind. They omit people who have
    as many tickets as a person can have, and parties that have become too large for the event or a type.
    """

    parties: int
    tickets: int
    types: Collection[UUID]
    largest_need: int
    claimed_types: Collection[UUID]

    def blocks(self, event: Event, counts: Collection[UUID]) -> bool:
        """Whether a newcomer who wants tickets of these types must wait behind others.

        With the policy `first_fit`, never: whatever is left was already offered to everyone who waits. With `strict`, a
        party that waits for the same types comes first, as does a party for which the whole event has too few tickets.
        """
        if event.waitlist_policy is not WaitlistPolicy.STRICT:
            return False
        return self.largest_need > event.tickets_available or not set(counts).isdisjoint(self.claimed_types)


NOBODY = Queue(0, 0, (), 0, ())


def queue_of(event: Event) -> Queue:
    """Read the waiting list of a locked event."""
    return queue_from(run(read_queue(event.id)))


def read_queue(event_id: UUID) -> BoundStatement:
    """Return the statement whose rows `queue_from` converts."""
    return _QUEUE.with_values(event_id=event_id)


def queue_from(rows: list[tuple[int, int, list[str], int, list[str]]]) -> Queue:
    [(parties, tickets, types, largest_need, claimed_types)] = rows
    return Queue(parties, tickets, _ids(types), largest_need, _ids(claimed_types))


def _ids(types: Collection[str]) -> list[UUID]:
    return [UUID(one) for one in types]


_need = sa.func.coalesce(Booking.accept_fewer, Booking.ticket_count)
_of_event = COUNTED.c.event_id == Booking.event_id
# one or the other, so that each can use an index
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
        _need.label("need"),
        sa.and_(
            _need <= Event.capacity,
            ~_exceeds_type,
            sa.case(
                (Event.max_tickets_per_person.is_(None), sa.true()),
                else_=_tickets_of_person + _need <= Event.max_tickets_per_person,
            ),
        ).label("has_claim"),
    )
    .join(Event, Event.id == Booking.event_id)
    .where(
        Booking.event_id == sa.bindparam("event_id", type_=sa.Uuid()),
        Booking.status == sa.literal_column(f"'{BookingStatus.WAITLISTED}'"),
    )
    .cte("waiting")
)


def _types_where(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[list[str]]:
    types = sa.select(sa.cast(BookingItem.ticket_type_id, sa.Text)).distinct()
    types = types.join(_waiting, _waiting.c.id == BookingItem.booking_id).where(*conditions)
    return sa.func.array(types.correlate(None).scalar_subquery())


_QUEUE = Prepared(
    "waiting_parties",
    sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(_waiting.c.ticket_count), 0, type_=sa.BigInteger),
        _types_where(),
        sa.func.coalesce(sa.func.max(_waiting.c.need).filter(_waiting.c.has_claim), 0),
        _types_where(_waiting.c.has_claim),
    ),
)
