"""The door list of an event."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, Account, add_to_team, book, make_event, make_user, new_email


@pytest.fixture
def event(client: FlaskClient, organizer: Account, user: Account) -> dict[str, Any]:
    event = make_event(client, organizer)
    for name in ("Grace Hopper", "ada lovelace", "Émilie du Châtelet"):
        order = {"guest_name": name, "guest_email": new_email(), "ticket_count": 2}
        assert book(client, user, event, **order).status_code == 201
    return event


def _door_list(client: FlaskClient, account: Account, event: dict[str, Any], query: str = "") -> Any:
    return client.get(f"{API}/events/{event['id']}/door-list?{query}", headers=account.headers).json


def test_the_door_list_has_names_but_no_email_addresses(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    helper = add_to_team(client, organizer, event, make_user(client), "check_in")

    listed = _door_list(client, helper, event)

    assert [entry["guest_name"] for entry in listed] == ["ada lovelace", "Émilie du Châtelet", "Grace Hopper"]
    for entry in listed:
        assert entry.keys() == {"reference", "guest_name", "ticket_count", "status"}
        assert (entry["ticket_count"], entry["status"]) == (2, "confirmed")


def test_the_door_list_can_be_filtered(
    client: FlaskClient, organizer: Account, user: Account, event: dict[str, Any]
) -> None:
    bookings: Any = client.get(f"{API}/bookings/", headers=user.headers).json
    first = bookings[0]
    client.delete(f"{API}/bookings/{first['id']}", headers=user.headers)

    def names(query: str) -> list[str]:
        return [entry["guest_name"] for entry in _door_list(client, organizer, event, query)]

    assert names("q=emilie") == ["Émilie du Châtelet"]
    assert names("status=cancelled") == [first["guest_name"]]
    assert names(f"q={first['reference']}") == [first["guest_name"]]
    assert names(f"q={first['guest_email']}") == []
    assert names("page_size=1&page=3") == ["Grace Hopper"]


def test_the_door_list_shows_which_bookings_are_only_held(
    client: FlaskClient, organizer: Account, user: Account, event: dict[str, Any]
) -> None:
    held = book(client, user, event, guest_name="Hedy Lamarr", hold_minutes=10).json

    [entry] = _door_list(client, organizer, event, "status=held")

    assert (entry["reference"], entry["status"]) == (held["reference"], "held")


def test_the_door_list_can_be_read_completely_with_cursors(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    read: list[Any] = []
    url = f"{API}/events/{event['id']}/door-list?page_size=2&after="
    while url:
        response = client.get(url, headers=organizer.headers)
        read += response.json or []
        url = response.headers.get("Link", "").partition(">")[0].removeprefix("<")

    assert read == _door_list(client, organizer, event)
