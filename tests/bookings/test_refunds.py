"""Payments for deleted events can be found and refunded."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, Account, book, make_organizer, make_user
from tests.payments import PRICE, make_priced_event, pay


def _refunds(client: FlaskClient, account: Account, event: dict[str, Any]) -> Any:
    return client.get(f"{API}/events/{event['id']}/payments?refund_due=true", headers=account.headers)


@pytest.fixture
def deleted(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    """A deleted event with a paid booking."""
    event = make_priced_event(client, organizer)
    booking = book(client, make_user(client), event).json
    assert pay(client, organizer, booking, reference="pi_1").json["status"] == "confirmed"
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
