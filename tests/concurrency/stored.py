"""Compares the tables with the model after each operation."""

from collections import Counter
from typing import Any

import sqlalchemy as sa
from hypothesis.stateful import RuleBasedStateMachine, invariant

from bookings_api.inventory.holds import IS_OVER
from bookings_api.models import Booking, BookingItem, Event, OutboxEmail, Payment, TicketType
from tests.concurrency.expected import ExpectedBooking, ExpectedPayment, part_of
from tests.concurrency.expected_event import ExpectedEvent

_EMAILS = (
    sa.select(sa.func.array_agg(OutboxEmail.kind))
    .where(OutboxEmail.booking_id == Booking.id, OutboxEmail.broadcast_id.is_(None))
    .scalar_subquery()
)


def _tickets_with(status: str, of: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    """Return the number of tickets in bookings with a status."""
    count = sa.select(sa.func.coalesce(sa.func.sum(BookingItem.count), 0))
    return (
        count.join(Booking, Booking.id == BookingItem.booking_id).where(Booking.status == status, of).scalar_subquery()
    )


_COUNTERS = sa.union_all(
    *(
        sa.select(
            model.tickets_booked,
            _tickets_with("confirmed", of).label("booked"),
            model.tickets_held,
            _tickets_with("held", of).label("held"),
            model.capacity,
        ).where(event_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
        for model, of, event_id in (
            (Event, Booking.event_id == Event.id, Event.id),
            (TicketType, BookingItem.ticket_type_id == TicketType.id, TicketType.event_id),
        )
    )
)


class StoredState(RuleBasedStateMachine):
    """The invariants of a machine."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__()
        self.connection = connection
        self.all_events: list[ExpectedEvent] = []
        self.payments: dict[str, ExpectedPayment] = {}

    @invariant()
    def counters_equal_the_rows_and_nothing_is_oversold(self) -> None:
        rows = self.connection.execute(_COUNTERS, {"ids": [event.id for event in self.all_events]})
        for counted_booked, booked, counted_held, held, capacity in rows:
            assert (counted_booked, counted_held) == (booked, held)
            assert capacity is None or booked + held <= capacity

    @invariant()
    def bookings_and_emails_are_as_expected(self) -> None:
        """Until a request or the sweep ends overdue holds, the rows of their event may differ from the model."""
        columns = (Booking.status, Booking.items, Booking.amount_due, Booking.position, Booking.tickets_ahead)
        query = sa.select(Booking.id, Booking.event_id, IS_OVER, *columns, Booking.refund_due, _EMAILS)
        query = query.where(Booking.event_id.in_([event.id for event in self.all_events]))
        rows = self.connection.execute(query).all()
        overdue = {event_id for _, event_id, is_over, *_ in rows if is_over}
        assert overdue <= {event.id for event in self.all_events if event.may_have_overdue_holds}
        found = {
            booking_id: (status, {item["ticket_type_id"]: item["count"] for item in items}, *rest, Counter(emails))
            for booking_id, event_id, _, status, items, *rest, emails in rows
            if event_id not in overdue
        }
        current = [event for event in self.all_events if event.id not in overdue]
        assert found == {booking.id: self._expected(booking) for event in current for booking in event.bookings}

    def _expected(self, booking: ExpectedBooking) -> tuple[Any, ...]:
        event, line = booking.event, booking.event.line
        items = {one: count for one, count in zip(event.types, booking.counts, strict=True) if count}
        ahead = line[: line.index(booking)] if booking in line else []
        place = (len(ahead) + 1, sum(party.tickets for party in ahead)) if booking in line else (None, None)
        is_refund_due = any(payment.amount_to_refund for payment in self._payments_of(booking))
        return booking.status, items, booking.amount_due, *place, is_refund_due, booking.emails

    @invariant()
    def no_party_that_could_be_served_waits(self) -> None:
        for event in self.all_events:
            able = [party for party in event.line if not event.is_too_many(party.user, party.smallest)]
            for party in able[:1] if event.terms.is_strict else able:
                assert not event.fits(part_of(party.counts, party.smallest), event.taken)

    @invariant()
    def all_money_is_earned_or_due_for_a_refund(self) -> None:
        query = sa.select(
            Payment.reference, Payment.booking_id, Payment.amount, Payment.refusal, Payment.amount_to_refund
        )
        query = query.join(Booking, Booking.id == Payment.booking_id)
        query = query.where(Booking.event_id.in_([event.id for event in self.all_events]))
        found = {
            reference: (booking_id, amount, refusal is None, to_refund)
            for reference, booking_id, amount, refusal, to_refund in self.connection.execute(query)
        }
        assert found == {
            reference: (payment.booking.id, payment.amount, payment.is_accepted, payment.amount_to_refund)
            for reference, payment in self.payments.items()
        }
        for booking in [booking for event in self.all_events for booking in event.bookings]:
            if booking.status == "confirmed" and booking.amount_due:
                [accepted] = [payment for payment in self._payments_of(booking) if payment.is_accepted]
                assert accepted.amount >= booking.amount_due

    def _payments_of(self, booking: ExpectedBooking) -> list[ExpectedPayment]:
        return [payment for payment in self.payments.values() if payment.booking is booking]
