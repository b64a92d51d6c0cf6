"""Refunds of a deleted event can still be found, by those who managed it."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, Account, book, make_event, make_organizer, make_user, ticket_types_of, types_path

PAYMENT = {"provider": "stripe", "reference": "pi_1", "amount": 3600, "currency": "EUR"}


@pytest.fixture
def deleted(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    """A deleted event with a paid booking."""
    event = make_event(client, organizer, currency="EUR")
    [ticket_type] = ticket_types_of(client, event)
    priced = client.patch(
        f"{types_path(event)}/{ticket_type['id']}", headers=organizer.headers, json={"price": PAYMENT["amount"]}
    )
    assert priced.status_code == 200, priced.text
    booking = book(client, make_user(client), event).json
    path = f"{API}/bookings/{booking['id']}/confirm"
    paid = client.post(path, headers=organizer.headers, json={"payment": PAYMENT})
    assert paid.json["status"] == "confirmed", paid.text
    assert client.delete(f"{API}/events/{event['id']}", headers=organizer.headers).status_code == 204
    return event


def test_payments_of_a_deleted_event_are_listed_for_refunds(
    client: FlaskClient, organizer: Account, deleted: dict[str, Any]
) -> None:
    due = client.get(f"{API}/events/{deleted['id']}/payments?refund_due=true", headers=organizer.headers)

    assert due.status_code == 200, due.text
    assert [(one["reference"], one["amount_to_refund"]) for one in due.json] == [("pi_1", 3600)]


@pytest.mark.parametrize("make_other", [make_organizer, make_user])
def test_a_deleted_event_stays_hidden_from_everyone_else(
    client: FlaskClient, deleted: dict[str, Any], make_other: Any
) -> None:
    refused = client.get(f"{API}/events/{deleted['id']}/payments", headers=make_other(client).headers)

    assert (refused.status_code, refused.json["code"]) == (404, "event-not-found")
