"""Conflicting operations on one event, sent to the running service at the same time.

Whatever their order, no ticket is sold twice and none is lost.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking, EmailKind, OutboxEmail
from tests.concurrency.harness import Call, Tickets, collide, count_of, outcome_of, race, tickets_of
from tests.factories import Account, book, make_event, make_organizer, make_user

pytestmark = pytest.mark.usefixtures("audited")

ROUNDS = 8


@dataclass(frozen=True)
class People:
    """An organizer, a user who holds tickets, and buyers who want one each."""

    organizer: Account
    holder: Account
    buyers: list[Account]

    def buy(self, event: Mapping[str, Any]) -> list[Call]:
        """One request per buyer for one ticket."""
        return [Call("book", buyer, "POST", "/bookings/", {"event_id": event["id"]}) for buyer in self.buyers]


@pytest.fixture
def people(client: FlaskClient) -> People:
    return People(make_organizer(client), make_user(client), [make_user(client) for _ in range(5)])


def _assert_remaining_tickets_can_be_booked(
    client: FlaskClient, database: sa.Engine, people: People, event: Any
) -> None:
    """Book every remaining ticket, and fail to book one more."""
    tickets = tickets_of(database, event)
    assert tickets.counted == tickets.held <= tickets.capacity
    for _ in range(tickets.capacity - tickets.held):
        assert outcome_of(book(client, people.holder, event)) == "201"
    assert outcome_of(book(client, people.holder, event)) == "409 sold-out"
    assert tickets_of(database, event) == Tickets(tickets.capacity, tickets.capacity, tickets.capacity)


def test_cancelling_twice_at_once_releases_tickets_once(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, people: People
) -> None:
    for _ in range(ROUNDS):
        event = make_event(client, people.organizer, capacity=4)
        booking = book(client, people.holder, event, ticket_count=3).json
        cancel = Call("cancel", people.holder, "DELETE", f"/bookings/{booking['id']}")

        outcomes = collide(http, cancel, *people.buy(event), cancel)

        assert outcomes["cancel 200"] == 2
        assert outcomes["book 201"] + outcomes["book 409 sold-out"] == 5
        assert tickets_of(database, event).held == outcomes["book 201"]
        _assert_remaining_tickets_can_be_booked(client, database, people, event)


def test_a_larger_booking_and_new_bookings_share_the_last_tickets(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, people: People
) -> None:
    for _ in range(ROUNDS):
        event = make_event(client, people.organizer, capacity=4)
        booking = book(client, people.holder, event).json
        more = Call("raise", people.holder, "PATCH", f"/bookings/{booking['id']}", {"ticket_count": 4})

        outcomes = collide(http, more, *people.buy(event))

        # one buyer gets all three tickets, or three buyers get one each
        assert outcomes in (
            {"raise 200": 1, "book 409 sold-out": 5},
            {"raise 409 sold-out": 1, "book 201": 3, "book 409 sold-out": 2},
        )
        assert tickets_of(database, event) == Tickets(4, 4, 4)


def test_reducing_capacity_either_precedes_bookings_or_is_refused(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, people: People
) -> None:
    for _ in range(ROUNDS):
        event = make_event(client, people.organizer, capacity=5)
        cut = Call("cut", people.organizer, "PATCH", f"/events/{event['id']}", {"capacity": 2})

        outcomes = collide(http, cut, *people.buy(event))

        assert outcomes in (
            {"cut 200": 1, "book 201": 2, "book 409 sold-out": 3},
            {"cut 409 capacity-below-booked": 1, "book 201": 5},
        )
        left = 2 if outcomes["cut 200"] else 5
        assert tickets_of(database, event) == Tickets(left, left, left)


def test_cancelling_an_event_cancels_every_booking_and_notifies_every_guest(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, people: People
) -> None:
    sold = 0
    for _ in range(ROUNDS):
        event = make_event(client, people.organizer, capacity=10)
        book(client, people.holder, event, ticket_count=2)
        cancel = Call("cancel", people.organizer, "POST", f"/events/{event['id']}/cancel")

        outcomes = collide(http, cancel, *people.buy(event))

        assert outcomes["cancel 200"] == 1
        assert outcomes["book 201"] + outcomes["book 409 event-not-open"] == 5
        assert tickets_of(database, event) == Tickets(10, 0, 0)
        sold += 1 + outcomes["book 201"]

    assert count_of(database, Booking) == sold
    _wait_for_emails(database, EmailKind.EVENT_CANCELLED, sold)


def test_deleting_an_event_prevents_further_changes_of_its_bookings(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, people: People
) -> None:
    for _ in range(ROUNDS):
        event = make_event(client, people.organizer, capacity=10)
        booking = book(client, people.holder, event, ticket_count=5).json
        path = f"/bookings/{booking['id']}"
        delete = Call("delete", people.organizer, "DELETE", f"/events/{event['id']}")
        changes = [Call("change", people.holder, "PATCH", path, {"ticket_count": count}) for count in (1, 9, 3, 7)]

        outcomes = collide(http, *changes[:2], delete, *changes[2:])

        assert outcomes["delete 204"] == 1
        assert outcomes["change 200"] + outcomes["change 409 booking-cancelled"] == 4
        assert tickets_of(database, event) == Tickets(10, 0, 0)
        found = client.get(f"/api/v1{path}", headers=people.holder.headers).json
        # earlier changes remain, and the version counts them and the cancellation
        assert (found["status"], found["version"]) == ("cancelled", 2 + outcomes["change 200"])

    _wait_for_emails(database, EmailKind.EVENT_CANCELLED, ROUNDS)


def test_20_simultaneous_requests_with_one_idempotency_key_book_once_and_get_equal_responses(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, people: People
) -> None:
    event = make_event(client, people.organizer, capacity=100)

    for number in range(ROUNDS):
        headers = {**people.holder.headers, "Idempotency-Key": f"round-{number}"}

        def send(headers: Mapping[str, str] = headers) -> httpx.Response:
            return http.post("/bookings/", headers=dict(headers), json={"event_id": event["id"], "ticket_count": 2})

        def attempt(_: int) -> str:
            response = send()
            return f"{outcome_of(response)} {response.text}"

        outcomes = race(attempt, clients=20)

        again = send()
        assert (outcome_of(again), again.headers["Idempotency-Replayed"]) == ("201", "true")
        assert outcomes == {f"201 {again.text}": 20}
        with database.connect() as connection:
            stored = connection.scalars(sa.select(Booking.id).where(Booking.event_id == UUID(event["id"]))).all()
        assert UUID(again.json()["id"]) in stored
        assert len(stored) == number + 1
        assert tickets_of(database, event) == Tickets(100, 2 * (number + 1), 2 * (number + 1))


def test_simultaneous_requests_with_one_idempotency_key_all_get_the_last_ticket(
    client: FlaskClient, http: httpx.Client, people: People
) -> None:
    for number in range(ROUNDS):
        event = make_event(client, people.organizer, capacity=1)
        headers = {**people.holder.headers, "Idempotency-Key": f"last-{number}"}

        def attempt(_: int, headers: Mapping[str, str] = headers, event_id: str = event["id"]) -> str:
            return outcome_of(http.post("/bookings/", headers=dict(headers), json={"event_id": event_id}))

        assert race(attempt, clients=20) == {"201": 20}


def test_one_idempotency_key_for_two_events_at_once_books_one_of_them(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, people: People
) -> None:
    for number in range(ROUNDS):
        events = [make_event(client, people.organizer) for _ in range(2)]
        headers = {**people.holder.headers, "Idempotency-Key": f"two-events-{number}"}

        def attempt(buyer: int, headers: Mapping[str, str] = headers, events: list[dict[str, Any]] = events) -> str:
            order = {"event_id": events[buyer]["id"]}
            return outcome_of(http.post("/bookings/", headers=dict(headers), json=order))

        assert race(attempt, clients=2) == {"201": 1, "422 idempotency-key-reused": 1}
        assert sum(tickets_of(database, event).held for event in events) == 1


def _wait_for_emails(database: sa.Engine, kind: EmailKind, count: int) -> None:
    """Wait until the worker has written the event's emails, each of them once."""
    written = sa.select(sa.func.count()).select_from(OutboxEmail).where(OutboxEmail.kind == kind)
    deadline = time.monotonic() + 15
    found = -1
    while found != count and time.monotonic() < deadline:
        time.sleep(0.1)
        with database.connect() as connection:
            found = connection.scalars(written).one()
    assert found == count
