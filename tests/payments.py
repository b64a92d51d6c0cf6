"""Sells tickets with a price, and reports payments for them."""

from collections.abc import Mapping
from typing import Any

from flask.testing import FlaskClient

from tests.factories import API, Account, Key, book, make_event, ticket_types_of, types_path

PRICE = 1800


def make_priced_event(client: FlaskClient, organizer: Account, **changes: Any) -> dict[str, Any]:
    """Create an event whose only ticket type has a price."""
    event = make_event(client, organizer, currency="EUR", **changes)
    set_price(client, organizer, event, PRICE)
    return event


def set_price(client: FlaskClient, organizer: Account, event: Mapping[str, Any], price: int) -> None:
    """Set the price of the event's only ticket type."""
    [ticket_type] = ticket_types_of(client, event)
    path = f"{types_path(event)}/{ticket_type['id']}"
    changed = client.patch(path, headers=organizer.headers, json={"price": price})
    assert changed.status_code == 200, changed.text


def book_priced(client: FlaskClient, buyer: Account | Key, organizer: Account, **order: Any) -> dict[str, Any]:
    """Book tickets for a new event that must be paid."""
    held = book(client, buyer, make_priced_event(client, organizer), **order)
    assert (held.status_code, held.json["status"]) == (201, "held"), held.text
    booking: dict[str, Any] = held.json
    return booking


def pay(client: FlaskClient, sender: Account | Key, booking: Mapping[str, Any], **changes: Any) -> Any:
    """Report the payment of the amount due, and return the response."""
    path = f"{API}/bookings/{booking['id']}/confirm"
    return client.post(path, headers=sender.headers, json={"payment": payment_for(booking, **changes)})


def payment_for(booking: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the payment of the amount due. Its reference is always the same for the same booking."""
    due = {"amount": booking["amount_due"], "currency": booking["currency"]}
    return {"provider": "stripe", "reference": f"pi_{booking['id']}", **due, **changes}
