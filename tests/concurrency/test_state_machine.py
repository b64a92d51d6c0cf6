"""Random sequences of operations on tickets, compared with a model of the expected outcome."""

from collections import Counter
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

from bookings_api.models import Booking, Event, OutboxEmail, TicketType
from tests.concurrency.expected import (
    LIMIT,
    Counts,
    ExpectedBooking,
    ExpectedEvent,
    outcome_of_booking,
    outcome_of_change,
    outcome_of_new_capacity,
    outcome_of_new_front_row,
)
from tests.concurrency.harness import outcome_of
from tests.factories import (
    API,
    Account,
    book,
    make_event,
    make_organizer,
    make_ticket_type,
    make_user,
    ticket_types_of,
    types_path,
)

pytestmark = pytest.mark.usefixtures("audited")

# As many steps as fit into a few seconds, the same in every run, so that failures are reproducible.
SETTINGS = settings(
    max_examples=50,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    # without explaining failures, which takes a minute
    phases=[Phase.generate, Phase.shrink],
)


Booked = ExpectedBooking | MultipleResults[ExpectedBooking]


class BookingMachine(RuleBasedStateMachine):
    """Several users book several events. Each response must be the one that the model expects."""

    events: Bundle[ExpectedEvent] = Bundle("events")
    bookings: Bundle[ExpectedBooking] = Bundle("bookings")
    users = st.integers(min_value=0, max_value=2)
    # one more than allowed per booking, so the limit is exercised
    counts = st.tuples(st.integers(0, LIMIT), st.integers(0, LIMIT)).filter(
        lambda counts: 1 <= sum(counts) <= LIMIT + 1
    )
    capacities = st.integers(min_value=1, max_value=8)

    def __init__(
        self, *, client: FlaskClient, connection: sa.Connection, organizer: Account, accounts: list[Account]
    ) -> None:
        super().__init__()
        self.client, self.connection = client, connection
        self.organizer, self.accounts = organizer, accounts
        self.all_events: list[ExpectedEvent] = []

    @initialize(target=events, capacity=capacities, front=capacities)
    def open_first_event(self, capacity: int, front: int) -> ExpectedEvent:
        return self._open(capacity, front)

    @rule(target=events, capacity=capacities, front=capacities)
    def open_another_event(self, capacity: int, front: int) -> ExpectedEvent:
        return self._open(capacity, front)

    def _open(self, capacity: int, front: int) -> ExpectedEvent:
        created = make_event(self.client, self.organizer, capacity=capacity, max_tickets_per_booking=LIMIT)
        [general] = ticket_types_of(self.client, created)
        front_row = make_ticket_type(self.client, self.organizer, created, capacity=min(front, capacity))
        types = (general["id"], front_row["id"])
        event = ExpectedEvent(UUID(created["id"]), types, capacity, min(front, capacity))
        self.all_events.append(event)
        return event

    @rule(target=bookings, event=events, user=users, counts=counts)
    def book(
        self, event: ExpectedEvent, user: int, counts: Counts
    ) -> ExpectedBooking | MultipleResults[ExpectedBooking]:
        expected, account = outcome_of_booking(event, counts), self.accounts[user]
        response = book(self.client, account, {"id": str(event.id)}, items=event.items(counts))
        assert outcome_of(response) == expected
        if expected != "201":
            return multiple()
        booking = ExpectedBooking(UUID(response.json["id"]), event, account, counts)
        event.bookings.append(booking)
        return booking

    @rule(booking=bookings, counts=counts)
    def change(self, booking: ExpectedBooking, counts: Counts) -> None:
        expected = outcome_of_change(booking, counts)
        changes = {"items": booking.event.items(counts)}
        response = self.client.patch(f"{API}/bookings/{booking.id}", headers=booking.user.headers, json=changes)
        assert outcome_of(response) == expected
        if expected == "200" and counts != booking.counts:
            booking.counts = counts
            booking.emails["booking_changed"] += 1

    @rule(booking=bookings)
    def cancel(self, booking: ExpectedBooking) -> None:
        response = self.client.delete(f"{API}/bookings/{booking.id}", headers=booking.user.headers)
        assert outcome_of(response) == "200"
        if booking.status == "confirmed":
            booking.status = "cancelled"
            booking.emails["booking_cancelled"] += 1

    @rule(event=events, capacity=capacities)
    def change_capacity(self, event: ExpectedEvent, capacity: int) -> None:
        expected = outcome_of_new_capacity(event, capacity)
        response = self.client.patch(
            f"{API}/events/{event.id}", headers=self.organizer.headers, json={"capacity": capacity}
        )
        assert outcome_of(response) == expected
        if expected == "200":
            event.capacity = capacity

    @rule(event=events, capacity=capacities)
    def change_front_row(self, event: ExpectedEvent, capacity: int) -> None:
        expected = outcome_of_new_front_row(event, capacity)
        path = f"{types_path({'id': event.id})}/{event.types[1]}"
        response = self.client.patch(path, headers=self.organizer.headers, json={"capacity": capacity})
        assert outcome_of(response) == expected
        if expected == "200":
            event.front_capacity = capacity

    @rule(event=events)
    def cancel_event(self, event: ExpectedEvent) -> None:
        response = self.client.post(f"{API}/events/{event.id}/cancel", headers=self.organizer.headers)
        assert outcome_of(response) == ("404 event-not-found" if event.is_deleted else "200")
        event.cancel()

    @rule(event=events)
    def delete(self, event: ExpectedEvent) -> None:
        response = self.client.delete(f"{API}/events/{event.id}", headers=self.organizer.headers)
        assert outcome_of(response) == ("404 event-not-found" if event.is_deleted else "204")
        event.cancel()
        event.is_deleted = True

    @invariant()
    def events_count_the_tickets_of_their_bookings_and_are_never_oversold(self) -> None:
        held = sa.func.coalesce(sa.func.sum(Booking.ticket_count).filter(Booking.status == "confirmed"), 0)
        query = (
            sa.select(Event.id, Event.status, Event.capacity, Event.tickets_booked, held)
            .outerjoin(Booking, Booking.event_id == Event.id)
            .where(Event.id.in_([event.id for event in self.all_events]))
            .group_by(Event.id)
        )
        found = {row[0]: tuple(row[1:]) for row in self.connection.execute(query).all()}
        assert found == {
            event.id: (event.status, event.capacity, event.booked, event.booked) for event in self.all_events
        }
        assert all(event.booked <= event.capacity for event in self.all_events)

    @invariant()
    def ticket_types_count_the_tickets_of_their_items(self) -> None:
        query = sa.select(TicketType.id, TicketType.tickets_booked, TicketType.capacity)
        query = query.where(TicketType.event_id.in_([event.id for event in self.all_events]))
        found = {str(row[0]): (row[1], row[2]) for row in self.connection.execute(query)}
        expected: dict[str, tuple[int, int | None]] = {}
        for event in self.all_events:
            general, front = event.booked_of_types
            expected |= {event.types[0]: (general, None), event.types[1]: (front, event.front_capacity)}
        assert found == expected

    @invariant()
    def bookings_are_as_booked_and_each_has_the_expected_emails(self) -> None:
        bookings = [booking for event in self.all_events for booking in event.bookings]
        query = (
            sa.select(Booking.id, Booking.status, Booking.ticket_count, sa.func.array_agg(OutboxEmail.kind))
            .outerjoin(OutboxEmail, (OutboxEmail.booking_id == Booking.id) & OutboxEmail.broadcast_id.is_(None))
            .where(Booking.event_id.in_([event.id for event in self.all_events]))
            .group_by(Booking.id)
        )
        found = {row[0]: (row[1], row[2], Counter(row[3])) for row in self.connection.execute(query)}
        assert found == {booking.id: (booking.status, booking.tickets, booking.emails) for booking in bookings}


def test_no_sequence_of_operations_oversells_an_event_or_loses_an_email(
    client: FlaskClient, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    # the log lines of thousands of requests would bury the steps that Hypothesis reports
    caplog.set_level("ERROR", logger="bookings_api.access")
    organizer, accounts = make_organizer(client), [make_user(client) for _ in range(3)]
    # each step reads only committed data
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:

        class Machine(BookingMachine):
            """Created by Hypothesis for each example, without arguments."""

            def __init__(self) -> None:
                super().__init__(client=client, connection=connection, organizer=organizer, accounts=accounts)

        run_state_machine_as_test(Machine, settings=SETTINGS)
