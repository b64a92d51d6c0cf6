"""The expected state of bookings and payments."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from tests.factories import Account

if TYPE_CHECKING:
    from tests.concurrency.expected_event import ExpectedEvent

# The maximum number of tickets per booking
LIMIT = 3
# How long a booking that must be paid holds its tickets
HOLD_MINUTES = 35

# Numbers of tickets: of general admission, and in the front row
Counts = tuple[int, int]


def part_of(counts: Counts, tickets: int) -> Counts:
    """Return a part of the counts. Only counts of a single type have smaller parts."""
    if tickets == sum(counts):
        return counts
    return (tickets, 0) if counts[0] else (0, tickets)


def types_in(counts: Counts) -> set[int]:
    return {position for position, count in enumerate(counts) if count}


@dataclass(frozen=True)
class Terms:
    """The settings of an event that do not change."""

    prices: Counts
    person_limit: int | None
    has_waiting_list: bool
    is_strict: bool
    offer_minutes: int | None


@dataclass(frozen=True)
class Order:
    """A request for tickets."""

    counts: Counts
    hold_minutes: int | None
    waitlist: bool
    accept_fewer: int | None


@dataclass(eq=False)
class ExpectedPayment:
    """A payment for a booking, with the outcome of reporting it."""

    booking: "ExpectedBooking"
    amount: int
    outcome: str

    @property
    def is_accepted(self) -> bool:
        return self.outcome == "200"

    @property
    def amount_to_refund(self) -> int:
        is_earned = self.is_accepted and self.booking.status == "confirmed"
        return self.amount - self.booking.amount_due if is_earned else self.amount


@dataclass(eq=False)
class ExpectedBooking:
    """The expected state of a booking. `id` is set from the response."""

    event: "ExpectedEvent"
    user: Account
    counts: Counts
    accept_fewer: int | None
    hold_minutes: int | None
    id: UUID = field(default_factory=lambda: UUID(int=0))
    status: str = "new"
    minutes_left: int = 0
    is_extended: bool = False
    had_to_wait: bool = False
    was_confirmed: bool = False
    # emails about the booking itself; workers write those about its event
    emails: Counter[str] = field(default_factory=Counter)

    @property
    def tickets(self) -> int:
        return sum(self.counts)

    @property
    def smallest(self) -> int:
        return self.accept_fewer or self.tickets

    @property
    def amount_due(self) -> int:
        return self.event.price_of(self.counts)

    @property
    def has_tickets(self) -> bool:
        return self.status in {"confirmed", "held"}

    def confirm(self) -> None:
        self.status, self.was_confirmed = "confirmed", True
        self.emails["booking_confirmed"] += 1

    def hold(self, minutes: int) -> None:
        self.status = "held"
        self.hold_minutes = self.minutes_left = minutes
