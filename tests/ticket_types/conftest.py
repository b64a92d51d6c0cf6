"""An event whose organizer adds ticket types to it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, Account, make_event, make_ticket_type, ticket_types_of

AddType = Callable[..., dict[str, Any]]


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    """An event with ten tickets."""
    return make_event(client, organizer, max_tickets_per_booking=8)


@pytest.fixture
def add_type(client: FlaskClient, organizer: Account, event: dict[str, Any]) -> AddType:
    """Adds a ticket type to the event."""

    def add(name: str, **fields: Any) -> dict[str, Any]:
        return make_ticket_type(client, organizer, event, name=name, **fields)

    return add


@pytest.fixture
def general(client: FlaskClient, event: dict[str, Any]) -> dict[str, Any]:
    return ticket_types_of(client, event)[0]


def counts_in(response: Any) -> dict[str, int]:
    return {item["name"]: item["count"] for item in response.json["items"]}


def tickets_left(client: FlaskClient, event: dict[str, Any]) -> tuple[int, ...]:
    """Return how many tickets are left: of the event, and of each type."""
    available: Any = client.get(f"{API}/events/{event['id']}").json
    return (available["tickets_available"], *(one["tickets_available"] for one in ticket_types_of(client, event)))


def change_booking(client: FlaskClient, user: Account, booking: Any, **changes: Any) -> Any:
    return client.patch(f"{API}/bookings/{booking.json['id']}", headers=user.headers, json=changes)
