"""The tickets that are left of an event and of its ticket types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.errors import SoldOut
from bookings_api.extensions import db
from bookings_api.models import Event, TicketType


@dataclass(frozen=True)
class Item:
    """A number of tickets of one type, at a price in minor units for each ticket."""

    ticket_type: TicketType
    count: int
    price: int

    def as_json(self) -> dict[str, Any]:
        """Return the item as bookings show it."""
        ticket_type = self.ticket_type
        return {
            "ticket_type_id": str(ticket_type.id),
            "name": ticket_type.name,
            "count": self.count,
            "price": self.price,
        }


class TicketsLeft:
    """How many tickets a locked event and its types have left. `take` keeps the numbers up to date."""

    def __init__(self, event: Event, types: Sequence[TicketType], *, returned: int = 0) -> None:
        """`returned` is the number of tickets of other types that the same booking gives back."""
        self.total = event.tickets_available + returned
        self._capacity = event.capacity
        self._capacity_of_types = {one.id: one.capacity for one in types if one.capacity is not None}
        self._of_limited_type = {
            one.id: one.capacity - one.tickets_booked - one.tickets_held for one in types if one.capacity is not None
        }

    @property
    def sold_out_types(self) -> list[UUID]:
        """The IDs of the types that have no tickets left, even if the event still has some."""
        return [ticket_type_id for ticket_type_id, left in self._of_limited_type.items() if left <= 0]

    def of_type(self, ticket_type_id: UUID) -> int:
        """Return how many tickets of a type are left."""
        return min(self.total, self._of_limited_type.get(ticket_type_id, self.total))

    def take(self, counts: Mapping[UUID, int]) -> None:
        """Subtract tickets."""
        self.total -= sum(counts.values())
        for ticket_type_id in counts.keys() & self._of_limited_type.keys():
            self._of_limited_type[ticket_type_id] -= counts[ticket_type_id]

    def set_aside(self, counts: Mapping[UUID, int]) -> None:
        """Subtract tickets for a party that comes first but cannot be served yet, at most as many as are left."""
        self.take({one: min(count, self._of_limited_type.get(one, count)) for one, count in counts.items()})
        self.total = max(self.total, 0)

    def could_ever_serve(self, counts: Mapping[UUID, int], *, smallest: int | None = None) -> bool:
        """Whether an order fits the capacity of the event and of its types. `smallest` is as in `largest_part`."""
        if smallest is not None:
            counts = dict.fromkeys(counts, smallest)
        fits_types = all(count <= self._capacity_of_types.get(one, count) for one, count in counts.items())
        return fits_types and sum(counts.values()) <= self._capacity

    def largest_part(
        self, counts: Mapping[UUID, int], *, smallest: int | None = None, at_most: int | None = None
    ) -> Mapping[UUID, int] | None:
        """Return the largest part of `counts` that is left, or None if the order cannot be served.

        An order with a `smallest` count has tickets of one type only, and accepts that number or more. All other orders
        need all of their tickets. `at_most` limits the total.
        """
        total = sum(counts.values())
        is_allowed = at_most is None or total <= at_most
        if is_allowed and total <= self.total and all(count <= self.of_type(one) for one, count in counts.items()):
            return counts
        if smallest is None:
            return None
        [(ticket_type_id, count)] = counts.items()
        possible = min(count, self.of_type(ticket_type_id), count if at_most is None else at_most)
        return {ticket_type_id: possible} if possible >= smallest else None


def shortages(event: Event, items: Sequence[Item], *, total: int, returned: int = 0) -> list[SoldOut]:
    """Return why `total` tickets cannot be booked: an error for each type, and for the event, with too few left.

    `returned` is the number of tickets of other types that the same booking gives back.
    """
    left = event.tickets_available + returned
    short = [
        SoldOut(of_type, item.ticket_type.name, item.ticket_type.id)
        for item in items
        if item.count > (of_type := item.ticket_type.limited(left)) and of_type < left
    ]
    return [*short, SoldOut(left)] if total > left else short


def ticket_types_of(event: Event) -> list[TicketType]:
    """Return an event's current ticket types, sorted by position."""
    query = sa.select(TicketType).where(TicketType.event_id == event.id, TicketType.deleted_at.is_(None))
    query = query.order_by(TicketType.position, TicketType.id).execution_options(populate_existing=True)
    return list(db.session.scalars(query))
