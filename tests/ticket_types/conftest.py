"""An event whose organizer adds ticket types to it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import Account, make_event, make_ticket_type

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
