"""What a newcomer must know about the parties that wait for an event's tickets."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.prepared import BoundStatement, Prepared, run
from bookings_api.models import Booking, BookingItem, BookingStatus, Event, WaitlistPolicy


class Queue(NamedTuple):
    """The parties on a waiting list: their number, their tickets, the largest need of a party, and the wanted types."""

    parties: int
    tickets: int
    largest_need: int
    types: Collection[UUID]

    def blocks(self, event: Event, counts: Collection[UUID]) -> bool:
        """Whether a newcomer who wants tickets of these types must wait behind others.

        With the policy `first_fit`, never: whatever is left was already offered to everyone who waits. With `strict`, a
        party that waits for the same types comes first, as does a party for which the whole event has too few tickets.
        """
        if event.waitlist_policy is not WaitlistPolicy.STRICT:
            return False
        return self.largest_need > event.tickets_available or not set(counts).isdisjoint(self.types)


NOBODY = Queue(0, 0, 0, ())


def queue_of(event: Event) -> Queue:
    """Read the waiting list of a locked event."""
    return queue_from(run(read_queue(event.id)))


def read_queue(event_id: UUID) -> BoundStatement:
    """Return the statement whose rows `queue_from` converts."""
    return _QUEUE.with_values(event_id=event_id)


def queue_from(rows: list[tuple[int, int, int, list[str]]]) -> Queue:
    [(parties, tickets, largest_need, types)] = rows
    return Queue(parties, tickets, largest_need, [UUID(one) for one in types])


_waiting = sa.and_(
    Booking.event_id == sa.bindparam("event_id", type_=sa.Uuid()),
    Booking.status == sa.literal_column(f"'{BookingStatus.WAITLISTED}'"),
)
_types = (
    sa.select(sa.cast(BookingItem.ticket_type_id, sa.Text))
    .join(Booking, Booking.id == BookingItem.booking_id)
    .where(_waiting)
    .distinct()
)
_QUEUE = Prepared(
    "waiting_parties",
    sa.select(
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0, type_=sa.BigInteger),
        sa.func.coalesce(sa.func.max(sa.func.coalesce(Booking.accept_fewer, Booking.ticket_count)), 0),
        sa.func.array(_types.scalar_subquery()),
    ).where(_waiting),
)
