"""Payments that arrive at the same time as other payments, and at the time when a hold ends.

Whatever their order, a booking is paid once, and all other money is due for a refund.
"""

from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking, BookingStatus, Payment
from tests.concurrency.harness import Call, collide
from tests.factories import Account, Key, book_for_guest, make_event, make_key, make_user
from tests.payments import set_price
from tests.sql import execute

pytestmark = pytest.mark.usefixtures("audited")

ROUNDS = 8
PRICE = 1800


@pytest.fixture
def key(client: FlaskClient, organizer: Account) -> Key:
    return make_key(client, organizer)


def _sell_one_ticket(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    event = make_event(client, organizer, capacity=1, currency="EUR")
    set_price(client, organizer, event, PRICE)
    return event


def _pay(key: Key, booking: Any, reference: str) -> Call:
    payment = {"provider": "stripe", "reference": reference, "amount": PRICE, "currency": "EUR"}
    return Call("pay", key, "POST", f"/bookings/{booking['id']}/confirm", {"payment": payment})


def _payments_for(database: sa.Engine, *events: dict[str, Any]) -> list[tuple[bool, int]]:
    """Return whether each payment was accepted, and how much of it must be refunded."""
    query = sa.select(Payment.refusal.is_(None), Payment.amount_to_refund).join(Payment.booking)
    query = query.where(Booking.event_id.in_([UUID(event["id"]) for event in events]))
    with database.connect() as connection:
        return sorted((is_accepted, to_refund) for is_accepted, to_refund in connection.execute(query))


def _statuses(database: sa.Engine, event: dict[str, Any]) -> list[BookingStatus]:
    """Return the status of each booking, oldest first."""
    query = sa.select(Booking.status).where(Booking.event_id == UUID(event["id"])).order_by(Booking.id)
    with database.connect() as connection:
        return list(connection.scalars(query))


def test_a_payment_at_the_end_of_its_hold_gets_the_ticket_or_a_refund(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, key: Key
) -> None:
    buyers = [make_user(client) for _ in range(3)]
    for number in range(ROUNDS):
        event = _sell_one_ticket(client, organizer)
        booking = book_for_guest(client, key, event).json
        buy = [Call("buy", buyer, "POST", "/bookings/", {"event_id": event["id"]}) for buyer in buyers]
        left = f"interval '{5 * number} ms'"
        execute(database, f"UPDATE bookings SET held_until = now() + {left} WHERE id = '{booking['id']}'")

        outcomes = collide(http, *buy[:2], _pay(key, booking, f"end-{number}"), *buy[2:])

        if outcomes["pay 200"]:
            assert outcomes == {"pay 200": 1, "buy 409 sold-out": 3}
            assert _payments_for(database, event) == [(True, 0)]
            assert _statuses(database, event) == ["confirmed"]
        else:
            assert outcomes == {"pay 409 hold-expired": 1, "buy 201": 1, "buy 409 sold-out": 2}
            assert _payments_for(database, event) == [(False, PRICE)]
            assert _statuses(database, event) == ["expired", "held"]


def test_of_two_payments_for_one_booking_one_is_due_for_a_refund(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, key: Key
) -> None:
    for number in range(ROUNDS):
        event = _sell_one_ticket(client, organizer)
        booking = book_for_guest(client, key, event).json

        outcomes = collide(http, *(_pay(key, booking, f"twice-{number}-{one}") for one in range(2)))

        assert outcomes == {"pay 200": 1, "pay 409 already-paid": 1}
        assert _payments_for(database, event) == [(False, PRICE), (True, 0)]


def test_a_payment_reported_ten_times_at_once_is_recorded_once(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, key: Key
) -> None:
    for number in range(ROUNDS):
        event = _sell_one_ticket(client, organizer)
        booking = book_for_guest(client, key, event).json

        assert collide(http, *[_pay(key, booking, f"same-{number}")] * 10) == {"pay 200": 10}
        assert _payments_for(database, event) == [(True, 0)]


def test_one_payment_cannot_pay_for_bookings_of_two_events_at_once(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, organizer: Account, key: Key
) -> None:
    for number in range(ROUNDS):
        events = [_sell_one_ticket(client, organizer) for _ in range(2)]
        bookings = [book_for_guest(client, key, event).json for event in events]

        outcomes = collide(http, *(_pay(key, booking, f"shared-{number}") for booking in bookings))

        assert outcomes == {"pay 200": 1, "pay 409 payment-mismatch": 1}
        assert _payments_for(database, *events) == [(True, 0)]
        assert sorted(status for event in events for status in _statuses(database, event)) == ["confirmed", "held"]
