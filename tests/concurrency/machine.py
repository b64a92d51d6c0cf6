"""Random operations on tickets, whose outcomes must be the ones that the model expects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, initialize, multiple, precondition, rule

from bookings_api.inventory.sweep import sweep
from tests.concurrency import strategies as given
from tests.concurrency.expected import LIMIT, Counts, ExpectedBooking, ExpectedPayment, Order, Terms, part_of
from tests.concurrency.expected_event import ExpectedEvent
from tests.concurrency.harness import outcome_of
from tests.concurrency.stored import StoredState
from tests.factories import API, Account, book, make_event, make_ticket_type, ticket_types_of, types_path
from tests.sql import execute

PROVIDER = "stripe"
# from this number of bookings on, the event may end, and another event may open
MANY = 10


class BookingMachine(StoredState):
    """Several users book several events. Each response must be the one that the model expects."""

    events: Bundle[ExpectedEvent] = Bundle("events")
    bookings: Bundle[ExpectedBooking] = Bundle("bookings")

    def __init__(
        self,
        *,
        client: FlaskClient,
        database: sa.Engine,
        connection: sa.Connection,
        organizer: Account,
        accounts: list[Account],
    ) -> None:
        super().__init__(connection)
        self.client, self.database = client, database
        self.organizer, self.accounts = organizer, accounts
        self.prefix = uuid4().hex  # keeps the payments of examples apart

    @initialize(target=events, terms=given.TERMS, capacity=given.CAPACITIES, front=given.FRONT_CAPACITIES)
    def open_first_event(self, terms: Terms, capacity: int, front: int) -> ExpectedEvent:
        return self._open(terms, capacity, front)

    @precondition(lambda self: len(self.all_events) == 1 and len(self.all_events[0].bookings) >= MANY)
    @rule(target=events, terms=given.TERMS, capacity=given.CAPACITIES, front=given.FRONT_CAPACITIES)
    def open_another_event(self, terms: Terms, capacity: int, front: int) -> ExpectedEvent:
        return self._open(terms, capacity, front)

    def _open(self, terms: Terms, capacity: int, front: int) -> ExpectedEvent:
        created = make_event(
            self.client,
            self.organizer,
            capacity=capacity,
            currency="EUR",
            max_tickets_per_booking=LIMIT,
            max_tickets_per_person=terms.person_limit,
            waitlist="on" if terms.has_waiting_list else "off",
            waitlist_policy="strict" if terms.is_strict else "first_fit",
            waitlist_offer_minutes=terms.offer_minutes,
        )
        [general] = ticket_types_of(self.client, created)
        prices, front = terms.prices, min(front, capacity)
        front_row = make_ticket_type(self.client, self.organizer, created, capacity=front, price=prices[1])
        event = ExpectedEvent(UUID(created["id"]), (general["id"], front_row["id"]), terms, capacity, front)
        if prices[0]:
            path = f"{types_path(created)}/{general['id']}"
            assert self._as_organizer("PATCH", path, {"price": prices[0]}) == "200"
        self.all_events.append(event)
        return event

    def teardown(self) -> None:
        """Keep the sweep of later examples away from overdue holds of this one."""
        execute(
            self.database,
            "UPDATE bookings SET held_until = now() + interval '1 day' WHERE status = 'held' AND held_until <= now()",
        )

    @rule(target=bookings, event=events, orders=given.SOME_ORDERS)
    def book(self, event: ExpectedEvent, orders: list[tuple[int, Order]]) -> MultipleResults[ExpectedBooking]:
        return self._book_all(event, orders)

    def _book_all(self, event: ExpectedEvent, orders: list[tuple[int, Order]]) -> MultipleResults[ExpectedBooking]:
        booked = [self._book(event, self.accounts[user], order) for user, order in orders]
        return multiple(*filter(None, booked))

    def _book(self, event: ExpectedEvent, account: Account, order: Order) -> ExpectedBooking | None:
        had_line = bool(event.line)
        expected = event.book(account, order)
        optional = {"hold_minutes": order.hold_minutes, "accept_fewer": order.accept_fewer}
        response = book(
            self.client,
            account,
            {"id": str(event.id)},
            items=_items(event, order.counts),
            waitlist=order.waitlist,
            **{name: value for name, value in optional.items() if value is not None},
        )
        if isinstance(expected, str):
            assert outcome_of(response) == expected
            if expected in {"409 sold-out", "409 waiting-list"}:
                event.may_have_overdue_holds = False
            return None
        assert outcome_of(response) == "201"
        expected.id = UUID(response.json["id"])
        if had_line or expected in event.line:
            event.may_have_overdue_holds = False
        return expected

    @rule(booking=bookings, counts=given.COUNTS)
    def change(self, booking: ExpectedBooking, counts: Counts) -> None:
        expected = booking.event.change(booking, counts)
        self._send(booking, expected, booking.user, "PATCH", body={"items": _items(booking.event, counts)})

    @rule(booking=bookings)
    def cancel(self, booking: ExpectedBooking) -> None:
        booking.event.cancel_booking(booking)
        self._send(booking, "200", booking.user, "DELETE")

    @rule(booking=bookings)
    def confirm(self, booking: ExpectedBooking) -> None:
        expected = booking.event.confirm(booking)
        self._send(booking, expected, booking.user, "POST", "/confirm", {})

    @rule(booking=bookings, number=st.integers(1, 5), is_exact=st.sampled_from([True, True, True, False]))
    def pay(self, booking: ExpectedBooking, number: int, *, is_exact: bool) -> None:
        reference = f"{self.prefix}-{number}"
        known = self.payments.get(reference)
        amount = booking.amount_due if is_exact and booking.amount_due else booking.amount_due + 100
        if known is None:
            known = self.payments[reference] = booking.event.pay(booking, amount)
            expected, is_recorded = known.outcome, True
        else:
            is_recorded = (known.booking, known.amount) == (booking, amount)
            expected = known.outcome if is_recorded else "409 payment-mismatch"
        payment = {"provider": PROVIDER, "reference": reference, "amount": amount, "currency": "EUR"}
        self._send(booking, expected, self.organizer, "POST", "/confirm", {"payment": payment}, commits=is_recorded)

    @precondition(lambda self: self.payments)
    @rule(booking=bookings)
    def repeat_a_payment(self, booking: ExpectedBooking) -> None:
        for reference, payment in self.payments.items():
            if payment.booking is booking:
                self._report(reference, payment)

    def _report(self, reference: str, payment: ExpectedPayment) -> None:
        body = {"provider": PROVIDER, "reference": reference, "amount": payment.amount, "currency": "EUR"}
        self._send(
            payment.booking, payment.outcome, self.organizer, "POST", "/confirm", {"payment": body}, commits=True
        )

    @rule(booking=bookings)
    def extend(self, booking: ExpectedBooking) -> None:
        expected = booking.event.extend(booking)
        self._send(booking, expected, booking.user, "POST", "/extend")

    @rule(event=events, minutes=given.MINUTES)
    def move_clock(self, event: ExpectedEvent, minutes: int) -> None:
        if not any(booking.status == "held" for booking in event.bookings):
            return
        self.sweep()
        execute(
            self.database,
            f"UPDATE bookings SET held_until = held_until - interval '{minutes} minutes'"
            f" WHERE event_id = '{event.id}' AND status = 'held'",
        )
        event.move_clock(minutes)
        event.may_have_overdue_holds = True

    # the first requests that notice the end of holds

    @rule(target=bookings, event=events, orders=given.SOME_ORDERS, minutes=given.MINUTES, newcomer=given.NEWCOMERS)
    def book_after_holds(
        self, event: ExpectedEvent, orders: list[tuple[int, Order]], minutes: int, newcomer: tuple[int, Order]
    ) -> MultipleResults[ExpectedBooking]:
        booked = self._book_all(event, orders)
        waiting, left = self._wait_for_more_than_is_left(event)
        self.move_clock(event, minutes)
        user, order = newcomer
        if waiting.values:
            order = replace(order, counts=(left, 0), accept_fewer=None)
        newcomers = self._book_all(event, [(user, order)])
        return multiple(*booked.values, *waiting.values, *newcomers.values)

    def _wait_for_more_than_is_left(self, event: ExpectedEvent) -> tuple[MultipleResults[ExpectedBooking], int]:
        """Put a party on the waiting list, while smaller ones could be served. Also returns what is left."""
        left = event.capacity - sum(event.taken)
        larger = Order((left + 1, 0), hold_minutes=None, waitlist=True, accept_fewer=None)
        return self._book_all(event, [(0, larger)] if 0 < left < LIMIT else []), left

    @rule(target=bookings, event=events, orders=given.SOME_ORDERS, minutes=given.MINUTES)
    def return_a_ticket_after_holds(
        self, event: ExpectedEvent, orders: list[tuple[int, Order]], minutes: int
    ) -> MultipleResults[ExpectedBooking]:
        booked = self._book_all(event, orders)
        self.move_clock(event, minutes)
        for booking in [one for one in event.bookings if one.has_tickets and one.tickets > 1][:1]:
            self.change(booking, part_of(booking.counts, booking.tickets - 1))
        return booked

    @rule(booking=bookings, minutes=given.MINUTES, counts=given.COUNTS)
    def change_after_holds(self, booking: ExpectedBooking, minutes: int, counts: Counts) -> None:
        self.move_clock(booking.event, minutes)
        self.change(booking, counts)

    @rule(event=events, minutes=given.MINUTES, capacity=given.CAPACITIES)
    def change_capacity_after_holds(self, event: ExpectedEvent, minutes: int, capacity: int) -> None:
        self.move_clock(event, minutes)
        self.change_capacity(event, capacity)

    @precondition(lambda self: any(event.may_have_overdue_holds for event in self.all_events))
    @rule()
    def sweep(self) -> None:
        with self.client.application.app_context():
            sweep()
        for event in self.all_events:
            event.may_have_overdue_holds = False

    @precondition(lambda self: self.all_events[0].bookings)
    @rule(event=events, capacity=given.CAPACITIES)
    def change_capacity(self, event: ExpectedEvent, capacity: int) -> None:
        self._set_capacity(event, f"{API}/events/{event.id}", capacity, event.set_capacity)

    @precondition(lambda self: self.all_events[0].bookings)
    @rule(event=events, capacity=given.FRONT_CAPACITIES)
    def change_front_row(self, event: ExpectedEvent, capacity: int) -> None:
        path = f"{types_path({'id': event.id})}/{event.types[1]}"
        self._set_capacity(event, path, capacity, event.set_front_capacity)

    @rule(target=bookings, event=events, user=given.USERS)
    def enlarge_front_row_for_a_party(self, event: ExpectedEvent, user: int) -> MultipleResults[ExpectedBooking]:
        left = event.front_capacity - event.taken[1]
        party = Order((0, left + 1), hold_minutes=None, waitlist=True, accept_fewer=None)
        booked = self._book_all(event, [(user, party)] if left < LIMIT else [])
        self.change_front_row(event, event.front_capacity + 1)
        return booked

    @rule(target=bookings, event=events)
    def enlarge_event_for_a_party(self, event: ExpectedEvent) -> MultipleResults[ExpectedBooking]:
        """The person who waits also gets what is left, and may then have too many tickets for a promotion."""
        waiting, left = self._wait_for_more_than_is_left(event)
        rest = Order((left, 0), hold_minutes=None, waitlist=False, accept_fewer=None)
        booked = self._book_all(event, [(0, rest)] if waiting.values else [])
        self.change_capacity(event, min(given.MOST, event.capacity + left + 1))
        return multiple(*waiting.values, *booked.values)

    def _set_capacity(self, event: ExpectedEvent, path: str, capacity: int, change: Callable[[int], str]) -> None:
        expected = change(capacity)
        assert self._as_organizer("PATCH", path, {"capacity": capacity}) == expected
        if expected == "200":
            event.may_have_overdue_holds = False

    @precondition(lambda self: sum(len(event.bookings) for event in self.all_events) >= MANY)
    @rule(event=events, is_deleted=st.booleans())
    def end(self, event: ExpectedEvent, *, is_deleted: bool) -> None:
        self.sweep()
        path = f"{API}/events/{event.id}"
        if is_deleted:
            outcome, expected = self._as_organizer("DELETE", path), "204"
        else:
            outcome, expected = self._as_organizer("POST", f"{path}/cancel"), "200"
        assert outcome == ("404 event-not-found" if event.is_deleted else expected)
        event.cancel()
        event.is_deleted |= is_deleted

    def _send(
        self,
        booking: ExpectedBooking,
        expected: str,
        account: Account,
        method: str,
        path: str = "",
        body: dict[str, Any] | None = None,
        *,
        commits: bool = False,
    ) -> None:
        """Send a request about a booking. A request that succeeds, or `commits`, ends the event's overdue holds."""
        url = f"{API}/bookings/{booking.id}{path}"
        response = self.client.open(url, method=method, headers=dict(account.headers), json=body)
        assert outcome_of(response) == expected
        if expected == "200" or commits:
            booking.event.may_have_overdue_holds = False

    def _as_organizer(self, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        headers = dict(self.organizer.headers)
        return outcome_of(self.client.open(path, method=method, headers=headers, json=body))


def _items(event: ExpectedEvent, counts: Counts) -> list[dict[str, Any]]:
    """Return the items of an order, without types of which it has no tickets."""
    pairs = zip(event.types, counts, strict=True)
    return [{"ticket_type_id": ticket_type, "count": count} for ticket_type, count in pairs if count]
