"""The ticket counts of an event and its types."""

from typing import Any

from flask.testing import FlaskClient

from tests.concurrency.harness import race
from tests.factories import API, Account, book, items, make_user, ticket_types_of
from tests.http_client import http_client
from tests.service import Service
from tests.ticket_types.conftest import AddType


def test_the_numbers_of_the_event_and_all_types_are_returned(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    [general] = ticket_types_of(client, event)
    front, hidden = add_type("Front row", capacity=4), add_type("Artists' guests", capacity=2, is_hidden=True)
    book(client, organizer, event, items=items((general, 4), (front, 3), (hidden, 1)))

    capacity = client.get(f"{API}/events/{event['id']}/capacity", headers=organizer.headers).json

    def numbers(one: dict[str, Any]) -> tuple[Any, ...]:
        return one["capacity"], one["tickets_booked"], one["tickets_available"]

    assert capacity is not None
    assert numbers(capacity) == (10, 8, 2)
    assert {one["name"]: numbers(one) for one in capacity["ticket_types"]} == {
        "General admission": (None, 4, 2),
        "Front row": (4, 3, 1),
        "Artists' guests": (2, 1, 1),
    }


def test_the_numbers_agree_while_tickets_are_booked(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType, service: Service
) -> None:
    types = [ticket_types_of(client, event)[0], add_type("Front row")]
    users = [make_user(client) for _ in range(5)]

    with http_client() as http:

        def attempt(number: int) -> str:
            if number % 2:
                user, order = users[number % 5], {"event_id": event["id"], "items": items((types[number % 3 % 2], 1))}
                return str(http.post(f"{service.api}/bookings/", headers=dict(user.headers), json=order).status_code)
            path = f"{service.api}/events/{event['id']}/capacity"
            seen = http.get(path, headers=dict(organizer.headers)).json()
            booked = sum(one["tickets_booked"] for one in seen["ticket_types"])
            assert seen["tickets_available"] == seen["capacity"] - seen["tickets_booked"]
            return "agree" if booked == seen["tickets_booked"] else "differ"

        outcomes = race(attempt, clients=60)

    assert outcomes == {"201": 10, "409": 20, "agree": 30}
