"""A model of an event with its bookings and its waiting list: a plain simulation of what the service should do.

In the model, holds end and waiting parties are served as soon as the clock moves. The service may do both later, but
before anyone can notice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tests.concurrency.expected import (
    HOLD_MINUTES,
    LIMIT,
    Counts,
    ExpectedBooking,
    ExpectedPayment,
    Order,
    Terms,
    part_of,
    types_in,
)
from tests.factories import Account

# Why bookings that are over cannot change
_OVER = {"cancelled": "409 booking-cancelled", "expired": "409 hold-expired"}


def _more(booking: ExpectedBooking, counts: Counts) -> Counts:
    return max(0, counts[0] - booking.counts[0]), max(0, counts[1] - booking.counts[1])


def _fewer(booking: ExpectedBooking, counts: Counts) -> Counts:
    return max(0, booking.counts[0] - counts[0]), max(0, booking.counts[1] - counts[1])


@dataclass(eq=False)
class ExpectedEvent:
    """The expected state of an event. `line` is its waiting list.

    `may_have_overdue_holds` is true from a movement of the clock until a request or the sweep has ended the holds.
    """

    id: UUID
    types: tuple[str, str]
    terms: Terms
    capacity: int
    front_capacity: int
    status: str = "published"
    is_deleted: bool = False
    may_have_overdue_holds: bool = False
    bookings: list[ExpectedBooking] = field(default_factory=list)
    line: list[ExpectedBooking] = field(default_factory=list)

    def counts_of(self, *statuses: str) -> Counts:
        found = [booking.counts for booking in self.bookings if booking.status in statuses]
        return sum(general for general, _ in found), sum(front for _, front in found)

    @property
    def taken(self) -> Counts:
        return self.counts_of("confirmed", "held")

    def price_of(self, counts: Counts) -> int:
        return sum(count * price for count, price in zip(counts, self.terms.prices, strict=True))

    def tickets_of(self, user: Account) -> int:
        return sum(one.tickets for one in self.bookings if one.has_tickets and one.user is user)

    def is_too_many(self, user: Account, more: int) -> bool:
        limit = self.terms.person_limit
        return limit is not None and self.tickets_of(user) + more > limit

    def fits(self, more: Counts, taken: Counts) -> bool:
        """Whether the event has room for more tickets. Types without more tickets may be full."""
        is_front_full = more[1] > 0 and taken[1] + more[1] > self.front_capacity
        return sum(taken) + sum(more) <= self.capacity and not is_front_full

    def walk(self, line: Sequence[ExpectedBooking]) -> tuple[dict[ExpectedBooking, Counts], Counts]:
        """Walk along a line from its start. Returns who gets which tickets, and what is taken or kept for others."""
        grants: dict[ExpectedBooking, Counts] = {}
        general, front = self.taken
        for party in line:
            promised = sum(sum(counts) for other, counts in grants.items() if other.user is party.user)
            if not self._could_fit(party) or self.is_too_many(party.user, promised + party.smallest):
                continue
            parts = [part_of(party.counts, tickets) for tickets in range(party.tickets, party.smallest - 1, -1)]
            allowed = [part for part in parts if not self.is_too_many(party.user, promised + sum(part))]
            possible = [part for part in allowed if self.fits(part, (general, front))]
            if possible:
                grants[party] = possible[0]
                general, front = general + possible[0][0], front + possible[0][1]
            elif self.terms.is_strict:
                kept = part_of(party.counts, party.smallest)
                general, front = general + kept[0], front + min(kept[1], max(0, self.front_capacity - front))
        return grants, (general, front)

    def serve(self) -> None:
        """Promote everyone on the waiting list who can be served."""
        for party, counts in self.walk(self.line)[0].items():
            party.counts, party.accept_fewer = counts, None
            self.line.remove(party)
            minutes = self.terms.offer_minutes or party.hold_minutes or (HOLD_MINUTES if party.amount_due else None)
            if minutes:
                party.hold(minutes)
                party.emails["booking_offered"] += 1
            else:
                party.confirm()

    def book(self, user: Account, order: Order) -> ExpectedBooking | str:
        """Return the new booking, or why the order is refused."""
        if self.is_deleted:
            return "404 event-not-found"
        if self.status == "cancelled":
            return "409 event-not-open"
        if sum(order.counts) > LIMIT:
            return "422 too-many-tickets"
        if self.is_too_many(user, sum(order.counts)):
            return "409 too-many-for-person"
        party = ExpectedBooking(self, user, order.counts, order.accept_fewer, order.hold_minutes)
        granted = self.walk([*self.line, party])[0].get(party)
        if granted:
            party.counts, party.accept_fewer = granted, None
            if party.amount_due or order.hold_minutes:
                party.hold(order.hold_minutes or HOLD_MINUTES)
            else:
                party.confirm()
        elif order.waitlist and self.terms.has_waiting_list and self._could_fit(party):
            party.status, party.had_to_wait = "waitlisted", True
            party.emails["booking_waitlisted"] += 1
            self.line.append(party)
        else:
            return self._refusal(party)
        self.bookings.append(party)
        self.serve()
        return party

    def _could_fit(self, party: ExpectedBooking) -> bool:
        return self.fits(part_of(party.counts, party.smallest), (0, 0))

    def _refusal(self, party: ExpectedBooking) -> str:
        parts = [part_of(party.counts, tickets) for tickets in range(party.smallest, party.tickets + 1)]
        is_left = any(self.fits(part, self.taken) for part in parts)
        return "409 waiting-list" if is_left else "409 sold-out"

    def change(self, booking: ExpectedBooking, counts: Counts) -> str:
        """Change a booking's tickets, and return the outcome."""
        if counts == booking.counts and booking.status not in _OVER:
            return "200"
        refusal = _OVER.get(booking.status) or self._refusal_of_change(booking, counts)
        if refusal:
            return refusal
        is_waiting = booking.status == "waitlisted"
        if is_waiting and any(_more(booking, counts)):
            self.line.remove(booking)
            self.line.append(booking)
        booking.counts = counts
        if booking.accept_fewer:
            booking.accept_fewer = min(booking.accept_fewer, sum(counts)) if len(types_in(counts)) == 1 else None
        self.serve()
        if booking.status == "waitlisted":
            booking.emails["booking_waitlisted"] += 1
        elif booking.status == "confirmed" and not is_waiting:
            booking.emails["booking_changed"] += 1
        elif booking.had_to_wait and not is_waiting:
            booking.emails["booking_offered"] += 1
        return "200"

    def _refusal_of_change(self, booking: ExpectedBooking, counts: Counts) -> str | None:
        more, fewer = _more(booking, counts), _fewer(booking, counts)
        is_waiting = booking.status == "waitlisted"
        if any(more) and sum(counts) > LIMIT:
            return "422 too-many-tickets"
        if any(more) and is_waiting:
            is_flexible = booking.accept_fewer is not None and len(types_in(counts)) == 1
            smallest = min(booking.accept_fewer or 0, sum(counts)) if is_flexible else sum(counts)
            if not self.fits(part_of(counts, smallest), (0, 0)):
                return "409 sold-out"
        if any(more) and not is_waiting:
            if not self.fits(more, (self.taken[0] - fewer[0], self.taken[1] - fewer[1])):
                return "409 sold-out"
            general, front = self.walk(self.line)[1]
            if not self.fits(more, (general - fewer[0], front - fewer[1])):
                return "409 waiting-list"
        if booking.status == "confirmed" and self.price_of(more) > 0:
            return "409 payment-required"
        growth = sum(counts) if is_waiting else sum(counts) - booking.tickets
        is_too_many = sum(counts) > booking.tickets and self.is_too_many(booking.user, growth)
        return "409 too-many-for-person" if is_too_many else None

    def cancel_booking(self, booking: ExpectedBooking) -> None:
        if booking.status == "cancelled":
            return
        if booking in self.line:
            self.line.remove(booking)
        was_expired, booking.status = booking.status == "expired", "cancelled"
        if not was_expired and (booking.had_to_wait or booking.was_confirmed):
            booking.emails["booking_cancelled"] += 1
        self.serve()

    def confirm(self, booking: ExpectedBooking) -> str:
        """Confirm a booking without a payment, and return the outcome."""
        if booking.status == "confirmed":
            return "200"
        if booking.amount_due and booking.status in {"held", "expired"}:
            return "409 payment-required"
        return self._confirm(booking)

    def pay(self, booking: ExpectedBooking, amount: int) -> ExpectedPayment:
        """Confirm a booking with a new payment, and return the payment."""
        if booking.status == "confirmed":
            outcome = "409 already-paid"
        elif booking.status == "cancelled":
            outcome = "409 booking-cancelled"
        elif amount != booking.amount_due:
            outcome = "409 payment-mismatch"
        else:
            outcome = self._confirm(booking)
        return ExpectedPayment(booking, amount, outcome)

    def _confirm(self, booking: ExpectedBooking) -> str:
        if booking.status == "cancelled":
            return "409 booking-cancelled"
        if booking.status == "waitlisted":
            return "409 waiting-list"
        if booking.status == "expired" and not self._fits_at_the_end_of_the_line(booking):
            return "409 hold-expired"
        booking.confirm()
        self.serve()
        return "200"

    def _fits_at_the_end_of_the_line(self, booking: ExpectedBooking) -> bool:
        return self.status == "published" and booking in self.walk([*self.line, booking])[0]

    def extend(self, booking: ExpectedBooking) -> str:
        """Extend a hold, and return the outcome."""
        if booking.status in _OVER:
            return _OVER[booking.status]
        if booking.status != "held" or booking.hold_minutes is None:
            return "409 booking-not-held"
        if booking.is_extended:
            return "409 already-extended"
        booking.is_extended = True
        booking.minutes_left += booking.hold_minutes
        return "200"

    def move_clock(self, minutes: int) -> None:
        for booking in self.bookings:
            if booking.status == "held":
                booking.minutes_left -= minutes
                if booking.minutes_left <= 0:
                    booking.status = "expired"
                    booking.emails["booking_expired"] += booking.had_to_wait
        self.serve()

    def set_capacity(self, capacity: int) -> str:
        refusal = self._refusal_of_new_capacity(is_too_small=capacity < sum(self.taken))
        if refusal is None and capacity < self.front_capacity:
            refusal = "422 invalid-input"
        if refusal is None:
            self.capacity = capacity
            self.serve()
        return refusal or "200"

    def set_front_capacity(self, capacity: int) -> str:
        refusal = self._refusal_of_new_capacity(is_too_small=capacity < self.taken[1])
        if refusal is None and capacity > self.capacity:
            refusal = "422 invalid-input"
        if refusal is None:
            self.front_capacity = capacity
            self.serve()
        return refusal or "200"

    def _refusal_of_new_capacity(self, *, is_too_small: bool) -> str | None:
        if self.is_deleted:
            return "404 event-not-found"
        if self.status == "cancelled":
            return "409 event-cancelled"
        return "409 capacity-below-booked" if is_too_small else None

    def cancel(self) -> None:
        self.status = "cancelled"
        self.line.clear()
        for booking in self.bookings:
            if booking.status != "expired":
                booking.status = "cancelled"
