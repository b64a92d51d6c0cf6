"""Payments that cannot confirm a booking, and payments for deleted events, can be found and refunded."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, Account, book, make_event, make_organizer, make_user, ticket_types_of, types_path

PRICE = 1800
RECORDED = "The payment was recorded and must be refunded."


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    """An event with a single ticket, which has a price, and a waiting list."""
    event = make_event(client, organizer, currency="EUR", capacity=1, waitlist="on")
    [ticket_type] = ticket_types_of(client, event)
    path = f"{types_path(event)}/{ticket_type['id']}"
    assert client.patch(path, headers=organizer.headers, json={"price": PRICE}).status_code == 200
    return event


def _pay(client: FlaskClient, organizer: Account, booking: dict[str, Any], reference: str = "pi_1") -> Any:
    payment = {"provider": "stripe", "reference": reference, "amount": PRICE, "currency": "EUR"}
    path = f"{API}/bookings/{booking['id']}/confirm"
    return client.post(path, headers=organizer.headers, json={"payment": payment})


def _refunds(client: FlaskClient, account: Account, event: dict[str, Any]) -> Any:
    return client.get(f"{API}/events/{event['id']}/payments?refund_due=true", headers=account.headers)


@pytest.fixture
def deleted(client: FlaskClient, organizer: Account, event: dict[str, Any]) -> dict[str, Any]:
    """A deleted event with a paid booking."""
    booking = book(client, make_user(client), event).json
    assert _pay(client, organizer, booking).json["status"] == "confirmed"
    assert client.delete(f"{API}/events/{event['id']}", headers=organizer.headers).status_code == 204
    return event


def test_payments_of_a_deleted_event_are_listed(
    client: FlaskClient, organizer: Account, deleted: dict[str, Any]
) -> None:
    due = _refunds(client, organizer, deleted)

    assert due.status_code == 200, due.text
    assert [(one["reference"], one["amount_to_refund"]) for one in due.json] == [("pi_1", PRICE)]


@pytest.mark.parametrize("make_other", [make_organizer, make_user])
def test_a_deleted_event_stays_hidden_from_everyone_else(
    client: FlaskClient, deleted: dict[str, Any], make_other: Any
) -> None:
    refused = _refunds(client, make_other(client), deleted)

    assert (refused.status_code, refused.json["code"]) == (404, "event-not-found")


def test_the_response_to_a_refused_payment_says_that_it_must_be_refunded(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    booking = book(client, make_user(client), event).json
    client.delete(f"{API}/bookings/{booking['id']}", headers=organizer.headers)

    refused, repeated = _pay(client, organizer, booking), _pay(client, organizer, booking)

    assert (refused.status_code, refused.json["code"]) == (409, "booking-cancelled")
    assert refused.json["detail"] == f"The booking is cancelled. {RECORDED}"
    assert repeated.json == refused.json
    assert [one["reference"] for one in _refunds(client, organizer, event).json] == ["pi_1"]


def test_a_payment_for_a_waiting_booking_must_be_refunded(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    book(client, make_user(client), event)
    waiting = book(client, make_user(client), event, waitlist=True).json

    refused = _pay(client, organizer, waiting)

    assert (refused.status_code, refused.json["code"]) == (409, "waiting-list")
    assert refused.json["detail"] == f"The booking is still on the waiting list. {RECORDED}"
    assert [one["booking_id"] for one in _refunds(client, organizer, event).json] == [waiting["id"]]
