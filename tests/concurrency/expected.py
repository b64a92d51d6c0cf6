"""The expected state of events and bookings, and the outcomes of operations on them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.factories import Account

# The maximum number of tickets per booking
LIMIT = 4

# Numbers of tickets: of general admission, and in the front row
Counts = tuple[int, int]


@dataclass(eq=False)
class ExpectedBooking:
    """The expected state of a booking."""

    id: UUID
    event: "ExpectedEvent"
    user: Account
    counts: Counts
    status: str = "confirmed"
    # emails about the booking itself; workers write those about its event
    emails: Counter[str] = field(default_factory=lambda: Counter(booking_confirmed=1))

    @property
    def tickets(self) -> int:
        return sum(self.counts)


@dataclass(eq=False)
class ExpectedEvent:
    """The expected state of an event."""

    id: UUID
    types: tuple[str, str]
    capacity: int
    front_capacity: int
    status: str = "published"
    is_deleted: bool = False
    bookings: list[ExpectedBooking] = field(default_factory=list)

    @property
    def booked(self) -> int:
        return sum(self.booked_of_types)

    @property
    def booked_of_types(self) -> Counts:
        confirmed = [booking.counts for booking in self.bookings if booking.status == "confirmed"]
        return sum(general for general, _ in confirmed), sum(front for _, front in confirmed)

    @property
    def front_free(self) -> int:
        return self.front_capacity - self.booked_of_types[1]

    def items(self, counts: Counts) -> list[dict[str, Any]]:
        """The items of an order, without types of which it has no tickets."""
        pairs = zip(self.types, counts, strict=True)
        return [{"ticket_type_id": ticket_type, "count": count} for ticket_type, count in pairs if count]

    @property
    def free(self) -> int:
        return self.capacity - self.booked

    def cancel(self) -> None:
        self.status = "cancelled"
        for booking in self.bookings:
            booking.status = "cancelled"


def outcome_of_booking(event: ExpectedEvent, counts: Counts) -> str:
    if event.is_deleted:
        return "404 event-not-found"
    if event.status == "cancelled":
        return "409 event-not-open"
    if sum(counts) > LIMIT:
        return "422 too-many-tickets"
    return "201" if sum(counts) <= event.free and counts[1] <= event.front_free else "409 sold-out"


def outcome_of_change(booking: ExpectedBooking, counts: Counts) -> str:
    if booking.status == "cancelled":
        return "409 booking-cancelled"
    if sum(counts) > LIMIT:
        return "422 too-many-tickets"
    event, more = booking.event, [new - old for new, old in zip(counts, booking.counts, strict=True)]
    is_sold_out = max(more) > 0 and sum(more) > event.free
    return "409 sold-out" if is_sold_out or more[1] > max(event.front_free, 0) else "200"


def outcome_of_new_capacity(event: ExpectedEvent, capacity: int) -> str:
    if event.is_deleted:
        return "404 event-not-found"
    if event.status == "cancelled":
        return "409 event-cancelled"
    if capacity < event.booked:
        return "409 capacity-below-booked"
    return "200" if capacity >= event.front_capacity else "422 invalid-input"


def outcome_of_new_front_row(event: ExpectedEvent, capacity: int) -> str:
    if event.is_deleted:
        return "404 event-not-found"
    if event.status == "cancelled":
        return "409 event-cancelled"
    if capacity < event.booked_of_types[1]:
        return "409 capacity-below-booked"
    return "200" if capacity <= event.capacity else "422 invalid-input"
