"""Random sequences of operations on tickets, compared with a model of the expected outcome."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from bookings_api.models import Booking, Event, OutboxEmail
from tests.concurrency.harness import outcome_of
from tests.factories import API, Account, book, make_event, make_organizer, make_user

pytestmark = pytest.mark.usefixtures("audited")

LIMIT = 4

# As much as fits into a few seconds; the same steps in every run, so failures are reproducible.
SETTINGS = settings(
    max_examples=50,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    # shrinks a failure, but does not explain it line by line, which takes a minute
    phases=[Phase.generate, Phase.shrink],
)


@dataclass(eq=False)
class Order:
    """The expected state of a booking."""

    id: UUID
    show: "Show"
    user: Account
    tickets: int
    status: str = "confirmed"
    # emails about the booking itself; a worker writes the ones about its event
    emails: Counter[str] = field(default_factory=lambda: Counter(booking_confirmed=1))


@dataclass(eq=False)
class Show:
    """The expected state of an event."""

    id: UUID
    capacity: int
    status: str = "published"
    is_deleted: bool = False
    orders: list[Order] = field(default_factory=list)

    @property
    def booked(self) -> int:
        return sum(order.tickets for order in self.orders if order.status == "confirmed")

    @property
    def free(self) -> int:
        return self.capacity - self.booked

    def call_off(self) -> None:
        self.status = "cancelled"
        for order in self.orders:
            order.status = "cancelled"


def outcome_of_booking(show: Show, tickets: int) -> str:
    if show.is_deleted:
        return "404 event-not-found"
    if show.status == "cancelled":
        return "409 event-not-open"
    if tickets > LIMIT:
        return "422 too-many-tickets"
    return "201" if tickets <= show.free else "409 sold-out"


def outcome_of_change(order: Order, tickets: int) -> str:
    if order.status == "cancelled":
        return "409 booking-cancelled"
    if tickets > LIMIT:
        return "422 too-many-tickets"
    return "200" if tickets - order.tickets <= order.show.free else "409 sold-out"


def outcome_of_resizing(show: Show, capacity: int) -> str:
    if show.is_deleted:
        return "404 event-not-found"
    if show.status == "cancelled":
        return "409 event-cancelled"
    return "200" if capacity >= show.booked else "409 capacity-below-booked"


class BoxOffice(RuleBasedStateMachine):
    """Several users at several events; each response must be the one the model expects."""

    shows: Bundle[Show] = Bundle("shows")
    orders: Bundle[Order] = Bundle("orders")
    users = st.integers(min_value=0, max_value=2)
    # one more than allowed per booking, so the limit is exercised
    tickets = st.integers(min_value=1, max_value=LIMIT + 1)
    capacities = st.integers(min_value=1, max_value=8)

    def __init__(
        self, *, client: FlaskClient, connection: sa.Connection, organizer: Account, accounts: list[Account]
    ) -> None:
        super().__init__()
        self.client, self.connection = client, connection
        self.organizer, self.accounts = organizer, accounts
        self.known: list[Show] = []

    @initialize(target=shows, capacity=capacities)
    def open_first_show(self, capacity: int) -> Show:
        return self._open(capacity)

    @rule(target=shows, capacity=capacities)
    def open_another_show(self, capacity: int) -> Show:
        return self._open(capacity)

    def _open(self, capacity: int) -> Show:
        event = make_event(self.client, self.organizer, capacity=capacity, max_tickets_per_booking=LIMIT)
        show = Show(UUID(event["id"]), capacity)
        self.known.append(show)
        return show

    @rule(target=orders, show=shows, user=users, tickets=tickets)
    def book(self, show: Show, user: int, tickets: int) -> Order | MultipleResults[Order]:
        expected, account = outcome_of_booking(show, tickets), self.accounts[user]
        response = book(self.client, account, {"id": str(show.id)}, ticket_count=tickets)
        assert outcome_of(response) == expected
        if expected != "201":
            return multiple()
        order = Order(UUID(response.json["id"]), show, account, tickets)
        show.orders.append(order)
        return order

    @rule(order=orders, tickets=tickets)
    def change(self, order: Order, tickets: int) -> None:
        expected = outcome_of_change(order, tickets)
        response = self.client.patch(
            f"{API}/bookings/{order.id}", headers=order.user.headers, json={"ticket_count": tickets}
        )
        assert outcome_of(response) == expected
        if expected == "200" and tickets != order.tickets:
            order.tickets = tickets
            order.emails["booking_changed"] += 1

    @rule(order=orders)
    def cancel(self, order: Order) -> None:
        response = self.client.delete(f"{API}/bookings/{order.id}", headers=order.user.headers)
        assert outcome_of(response) == "200"
        if order.status == "confirmed":
            order.status = "cancelled"
            order.emails["booking_cancelled"] += 1

    @rule(show=shows, capacity=capacities)
    def resize(self, show: Show, capacity: int) -> None:
        expected = outcome_of_resizing(show, capacity)
        response = self.client.patch(
            f"{API}/events/{show.id}", headers=self.organizer.headers, json={"capacity": capacity}
        )
        assert outcome_of(response) == expected
        if expected == "200":
            show.capacity = capacity

    @rule(show=shows)
    def call_off(self, show: Show) -> None:
        response = self.client.post(f"{API}/events/{show.id}/cancel", headers=self.organizer.headers)
        assert outcome_of(response) == ("404 event-not-found" if show.is_deleted else "200")
        show.call_off()

    @rule(show=shows)
    def delete(self, show: Show) -> None:
        response = self.client.delete(f"{API}/events/{show.id}", headers=self.organizer.headers)
        assert outcome_of(response) == ("404 event-not-found" if show.is_deleted else "204")
        show.call_off()
        show.is_deleted = True

    @invariant()
    def events_count_the_tickets_of_their_bookings_and_are_never_oversold(self) -> None:
        held = sa.func.coalesce(sa.func.sum(Booking.ticket_count).filter(Booking.status == "confirmed"), 0)
        query = (
            sa.select(Event.id, Event.status, Event.capacity, Event.tickets_booked, held)
            .outerjoin(Booking, Booking.event_id == Event.id)
            .where(Event.id.in_([show.id for show in self.known]))
            .group_by(Event.id)
        )
        found = {row[0]: tuple(row[1:]) for row in self.connection.execute(query).all()}
        assert found == {show.id: (show.status, show.capacity, show.booked, show.booked) for show in self.known}
        assert all(show.booked <= show.capacity for show in self.known)

    @invariant()
    def bookings_are_as_booked_and_each_has_the_expected_emails(self) -> None:
        orders = [order for show in self.known for order in show.orders]
        query = (
            sa.select(Booking.id, Booking.status, Booking.ticket_count, sa.func.array_agg(OutboxEmail.kind))
            .outerjoin(OutboxEmail, (OutboxEmail.booking_id == Booking.id) & OutboxEmail.broadcast_id.is_(None))
            .where(Booking.event_id.in_([show.id for show in self.known]))
            .group_by(Booking.id)
        )
        found = {row[0]: (row[1], row[2], Counter(row[3])) for row in self.connection.execute(query)}
        assert found == {order.id: (order.status, order.tickets, order.emails) for order in orders}


def test_no_sequence_of_operations_oversells_an_event_or_loses_an_email(
    client: FlaskClient, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    # the log lines of thousands of requests would bury the steps that Hypothesis reports
    caplog.set_level("ERROR", logger="bookings_api.access")
    organizer, accounts = make_organizer(client), [make_user(client) for _ in range(3)]
    # each step reads only committed data
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        class BoxOfficeOfThisTest(BoxOffice):
            """Created by Hypothesis for each example, without arguments."""

            def __init__(self) -> None:
                super().__init__(client=client, connection=connection, organizer=organizer, accounts=accounts)

        run_state_machine_as_test(BoxOfficeOfThisTest, settings=SETTINGS)
