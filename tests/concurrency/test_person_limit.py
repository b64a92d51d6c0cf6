"""Simultaneous requests of one person."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.concurrency.harness import race
from tests.factories import Account, book, make_event
from tests.http_client import http_client
from tests.service import Service

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    """An event that allows four tickets per person."""
    return make_event(client, organizer, capacity=50, max_tickets_per_person=4)


def test_simultaneous_changes_of_one_account_cannot_exceed_the_limit(
    client: FlaskClient, service: Service, user: Account, event: dict[str, Any]
) -> None:
    bookings = [book(client, user, event).json["id"] for _ in range(3)]

    with http_client() as http:

        def attempt(number: int) -> str:
            path = f"{service.api}/bookings/{bookings[number]}"
            return str(http.patch(path, headers=dict(user.headers), json={"ticket_count": 2}).status_code)

        outcomes = race(attempt, clients=3)

    assert outcomes == {"200": 1, "409": 2}


def test_simultaneous_requests_of_one_account_cannot_exceed_the_limit(
    client: FlaskClient, service: Service, user: Account, event: dict[str, Any]
) -> None:
    with http_client() as http:

        def attempt(number: int) -> str:
            response = http.post(f"{service.api}/bookings/", headers=dict(user.headers), json={"event_id": event["id"]})
            return f"{response.status_code} {response.json().get('code', '')}"

        outcomes = race(attempt, clients=20)

    assert outcomes == {"201 ": 4, "409 too-many-for-person": 16}
