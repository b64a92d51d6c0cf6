"""The tickets of expired holds are available to all requests, even before the periodic sweep."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, book, make_event, make_ticket_type, make_user, types_path
from tests.sql import execute

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    """An event with a waiting list and three tickets."""
    return make_event(client, organizer, capacity=3, waitlist="on")


def _hold(client: FlaskClient, event: dict[str, Any], **order: Any) -> str:
    """Hold tickets for another person. Returns the ID of the booking."""
    held = book(client, make_user(client), event, hold_minutes=10, **order)
    assert held.status_code == 201, held.text
    return str(held.json["id"])


def _expire(database: sa.Engine, booking_id: str) -> None:
    execute(database, f"UPDATE bookings SET held_until = now() WHERE id = '{booking_id}'")


def test_a_buyer_gets_the_tickets_of_an_expired_hold(
    client: FlaskClient, database: sa.Engine, user: Account, event: dict[str, Any]
) -> None:
    _expire(database, _hold(client, event, ticket_count=3))

    assert book(client, user, event, ticket_count=3).status_code == 201


def test_a_buyer_who_accepts_fewer_gets_all_tickets_if_expired_holds_have_them(
    client: FlaskClient, database: sa.Engine, user: Account, event: dict[str, Any]
) -> None:
    _expire(database, _hold(client, event, ticket_count=2))

    booked = book(client, user, event, ticket_count=3, waitlist=True, accept_fewer=1)

    assert (booked.json["status"], booked.json["ticket_count"]) == ("confirmed", 3)


def test_a_new_order_for_other_tickets_comes_after_the_party_that_waits_for_an_expired_hold(
    client: FlaskClient, database: sa.Engine, user: Account, event: dict[str, Any]
) -> None:
    held = _hold(client, event, ticket_count=2)
    waiting = book(client, user, event, ticket_count=3, waitlist=True).json
    assert waiting["status"] == "waitlisted"
    _expire(database, held)

    refused = book(client, make_user(client), event)

    assert (refused.status_code, refused.json["code"]) == (409, "sold-out")
    assert client.get(f"{API}/bookings/{waiting['id']}", headers=user.headers).json["status"] == "confirmed"


def test_a_booking_can_grow_by_the_tickets_of_an_expired_hold(
    client: FlaskClient, database: sa.Engine, user: Account, event: dict[str, Any]
) -> None:
    booked = book(client, user, event)
    _expire(database, _hold(client, event, ticket_count=2))

    changed = client.patch(f"{API}/bookings/{booked.json['id']}", headers=user.headers, json={"ticket_count": 3})

    assert (changed.status_code, changed.json["ticket_count"]) == (200, 3)


def test_the_capacity_of_the_event_can_be_reduced_by_the_tickets_of_an_expired_hold(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    _expire(database, _hold(client, event, ticket_count=2))

    changed = client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"capacity": 1})

    assert changed.status_code == 200, changed.text


def test_the_capacity_of_a_type_can_be_reduced_by_the_tickets_of_an_expired_hold(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    front = make_ticket_type(client, organizer, event, capacity=2)
    _expire(database, _hold(client, event, items=[{"ticket_type_id": front["id"], "count": 2}]))

    path = f"{types_path(event)}/{front['id']}"
    changed = client.patch(path, headers=organizer.headers, json={"capacity": 1})

    assert changed.status_code == 200, changed.text


def test_a_type_whose_holds_have_expired_can_be_deleted(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    front = make_ticket_type(client, organizer, event)
    _expire(database, _hold(client, event, items=[{"ticket_type_id": front["id"], "count": 2}]))

    assert client.delete(f"{types_path(event)}/{front['id']}", headers=organizer.headers).status_code == 204


def test_a_type_whose_released_tickets_go_to_the_waiting_list_cannot_be_deleted(
    client: FlaskClient, database: sa.Engine, organizer: Account, user: Account, event: dict[str, Any]
) -> None:
    front = make_ticket_type(client, organizer, event, capacity=2)
    items = [{"ticket_type_id": front["id"], "count": 2}]
    held = _hold(client, event, items=items)
    assert book(client, user, event, items=items, waitlist=True).json["status"] == "waitlisted"
    _expire(database, held)
    path = f"{types_path(event)}/{front['id']}"

    reduced = client.patch(path, headers=organizer.headers, json={"capacity": 1})
    deleted = client.delete(path, headers=organizer.headers)

    assert (reduced.json["code"], deleted.json["code"]) == ("capacity-below-booked", "ticket-type-in-use")


def test_a_waiting_party_gets_returned_tickets_together_with_those_of_expired_holds(
    client: FlaskClient, database: sa.Engine, user: Account, event: dict[str, Any]
) -> None:
    own, held, other = book(client, user, event, ticket_count=2).json, _hold(client, event), make_user(client)
    party = book(client, other, event, ticket_count=2, waitlist=True).json
    _expire(database, held)

    client.patch(f"{API}/bookings/{own['id']}", headers=user.headers, json={"ticket_count": 1})

    served = client.get(f"{API}/bookings/{party['id']}", headers=other.headers).json
    assert served["status"] == "confirmed"
