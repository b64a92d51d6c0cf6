"""Sells tickets with a price, and reports payments for them."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flask.testing import FlaskClient

from tests.factories import API, Account, Key, book, make_event, ticket_types_of, types_path

PRICE = 1800


def make_priced_event(client: FlaskClient, organizer: Account, **changes: Any) -> dict[str, Any]:
    """Create an event whose only ticket type has a price."""
    event = make_event(client, organizer, currency="EUR", **changes)
    [ticket_type] = ticket_types_of(client, event)
    path = f"{types_path(event)}/{ticket_type['id']}"
    changed = client.patch(path, headers=organizer.headers, json={"price": PRICE})
    assert changed.status_code == 200, changed.text
    return event


def book_priced(client: FlaskClient, buyer: Account | Key, organizer: Account, **order: Any) -> dict[str, Any]:
    """Book tickets for a new event that must be paid."""
    held = book(client, buyer, make_priced_event(client, organizer), **order)
    assert (held.status_code, held.json["status"]) == (201, "held"), held.text
    booking: dict[str, Any] = held.json
    return booking


def payment_for(booking: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a new payment of the amount due."""
    due = {"amount": booking["amount_due"], "currency": booking["currency"]}
    return {"provider": "stripe", "reference": uuid4().hex, **due, **changes}


def pay(client: FlaskClient, sender: Account | Key, booking: Mapping[str, Any], **changes: Any) -> Any:
    """Report a payment of the amount due, and return the response."""
    path = f"{API}/bookings/{booking['id']}/confirm"
    return client.post(path, headers=sender.headers, json={"payment": payment_for(booking, **changes)})
