"""The ticket counts of an event and its types."""

from typing import Any

from flask.testing import FlaskClient

from tests.factories import API, Account, book, items, ticket_types_of
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
