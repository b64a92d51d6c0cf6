"""Requests and sweeps that release, claim and give away the same tickets at the same time.

Whatever their order, each ticket goes to the first person on the waiting list, and none is lost.
"""

from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.inventory.sweep import sweep
from bookings_api.models import Booking, Event, OutboxEmail
from tests.concurrency.harness import Call, collide, outcome_of, race
from tests.factories import Account, book, make_event, make_user
from tests.sql import execute

pytestmark = pytest.mark.usefixtures("audited")

ROUNDS = 8


@pytest.fixture
def users(client: FlaskClient) -> list[Account]:
    return [make_user(client) for _ in range(6)]


def _book(client: FlaskClient, user: Account, event: dict[str, Any], expected: str, **order: Any) -> str:
    """Book tickets, check the status of the booking, and return its ID."""
    booking = book(client, user, event, **order).json
    assert booking["status"] == expected
    return str(booking["id"])


def _cancel(name: str, user: Account, booking_id: str) -> Call:
    return Call(name, user, "DELETE", f"/bookings/{booking_id}")


def _buy(event: dict[str, Any], users: list[Account], **order: Any) -> list[Call]:
    return [Call("buy", user, "POST", "/bookings/", {"event_id": event["id"], **order}) for user in users]


def _status_of(database: sa.Engine, booking_id: str) -> str:
    with database.connect() as connection:
        return str(connection.scalars(sa.select(Booking.status).where(Booking.id == UUID(booking_id))).one())


def _emails_about(database: sa.Engine, booking_id: str) -> list[str]:
    """Return the kinds of the emails about a booking, oldest first."""
    query = sa.select(OutboxEmail.kind).where(OutboxEmail.booking_id == UUID(booking_id)).order_by(OutboxEmail.id)
    with database.connect() as connection:
        return list(connection.scalars(query))


def _tickets_of(database: sa.Engine, event: dict[str, Any]) -> tuple[int, int]:
    """Return the event's counters of booked and held tickets."""
    with database.connect() as connection:
        counters = sa.select(Event.tickets_booked, Event.tickets_held).where(Event.id == UUID(event["id"]))
        booked, held = connection.execute(counters).one()
        return booked, held


def _expire_holds(database: sa.Engine, event: dict[str, Any]) -> None:
    execute(database, f"UPDATE bookings SET held_until = now() WHERE event_id = '{event['id']}' AND status = 'held'")


def test_a_ticket_passes_people_who_leave_the_list_when_it_is_released(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, users: list[Account]
) -> None:
    for _ in range(ROUNDS):
        event = make_event(client, organizer, capacity=1, waitlist="on")
        sold = _book(client, users[0], event, "confirmed")
        first, second = (_book(client, user, event, "waitlisted", waitlist=True) for user in users[1:3])

        outcomes = collide(http, _cancel("release", users[0], sold), _cancel("leave", users[1], first))

        assert outcomes == {"release 200": 1, "leave 200": 1}
        assert [_status_of(database, one) for one in (first, second)] == ["cancelled", "confirmed"]
        assert _emails_about(database, second) == ["booking_waitlisted", "booking_confirmed"]
        assert _tickets_of(database, event) == (1, 0)


@pytest.mark.parametrize("policy", ["first_fit", "strict"])
def test_new_orders_never_get_a_ticket_that_is_released_to_the_list(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, users: list[Account], policy: str
) -> None:
    for _ in range(ROUNDS):
        event = make_event(client, organizer, capacity=1, waitlist="on", waitlist_policy=policy)
        sold = _book(client, users[0], event, "confirmed")
        first = _book(client, users[1], event, "waitlisted", waitlist=True)
        newcomers = _buy(event, users[2:])

        outcomes = collide(http, *newcomers[:2], _cancel("release", users[0], sold), *newcomers[2:])

        assert outcomes["release 200"] == 1
        assert outcomes["buy 409 sold-out"] + outcomes["buy 409 waiting-list"] == len(newcomers)
        assert _status_of(database, first) == "confirmed"
        assert _emails_about(database, first) == ["booking_waitlisted", "booking_confirmed"]


def test_new_orders_never_get_the_tickets_of_expired_holds_for_which_others_wait(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, users: list[Account]
) -> None:
    for _ in range(ROUNDS):
        event = make_event(client, organizer, capacity=2, waitlist="on")
        _book(client, users[0], event, "held", ticket_count=2, hold_minutes=10)
        first = _book(client, users[1], event, "waitlisted", ticket_count=2, waitlist=True)
        _expire_holds(database, event)

        outcomes = collide(http, *_buy(event, users[2:5]), *_buy(event, users[5:], waitlist=True))

        assert outcomes == {"buy 409 sold-out": 3, "buy 201": 1}
        assert _status_of(database, first) == "confirmed"
        assert _tickets_of(database, event) == (2, 0)


def test_200_buyers_get_the_last_10_tickets_and_those_of_50_expired_holds(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, users: list[Account]
) -> None:
    event = make_event(client, organizer, capacity=60)
    for number in range(50):
        _book(client, users[number % 6], event, "held", hold_minutes=10)
    _expire_holds(database, event)

    def attempt(number: int) -> str:
        headers = dict(users[number % 6].headers)
        return outcome_of(http.post("/bookings/", headers=headers, json={"event_id": event["id"]}))

    assert race(attempt, clients=200) == {"201": 60, "409 sold-out": 140}
    assert _tickets_of(database, event) == (60, 0)


def test_sweeps_at_the_same_time_promote_and_notify_everyone_once(
    app: Flask, client: FlaskClient, database: sa.Engine, organizer: Account, users: list[Account]
) -> None:
    events = [make_event(client, organizer, capacity=3, waitlist="on", waitlist_offer_minutes=20) for _ in range(3)]
    holds = [_book(client, users[0], event, "held", ticket_count=3, hold_minutes=10) for event in events]
    waiting = [_book(client, user, event, "waitlisted", waitlist=True) for event in events for user in users[1:5]]

    def run(_: int) -> str:
        with app.app_context():
            sweep()
        return "swept"

    for event in events:
        _expire_holds(database, event)
    assert race(run, clients=4) == {"swept": 4}

    # each event had three tickets for four people
    promoted = [one for number, one in enumerate(waiting) if number % 4 < 3]
    assert {_status_of(database, one) for one in holds} == {"expired"}
    assert all(_emails_about(database, one) == ["booking_waitlisted", "booking_offered"] for one in promoted)
    assert [_tickets_of(database, event) for event in events] == [(0, 3)] * 3

    for event in events:
        _expire_holds(database, event)
    assert race(run, clients=4) == {"swept": 4}

    expired = ["booking_waitlisted", "booking_offered", "booking_expired"]
    assert all(_emails_about(database, one) == expired for one in promoted)
    assert [_tickets_of(database, event) for event in events] == [(0, 1)] * 3
