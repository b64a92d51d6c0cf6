"""What others see of the bookings of a deleted account."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking
from tests.factories import (
    API,
    PASSWORD,
    Account,
    Key,
    book,
    book_for_guest,
    make_account,
    make_event,
    make_key,
    make_owner,
    make_user,
)

NAME = "Zuleika Dobson"


@pytest.fixture
def person(client: FlaskClient) -> Account:
    return make_account(client, name=NAME)


def _delete(client: FlaskClient, account: Account) -> None:
    deleted = client.delete(f"{API}/users/me", headers=account.headers, json={"current_password": PASSWORD})
    assert deleted.status_code == 204, deleted.text


def _read(client: FlaskClient, booking: Any, reader: Account | Key, **headers: str) -> Any:
    return client.get(f"{API}/bookings/{booking['id']}", headers={**reader.headers, **headers})


def _end_event(database: sa.Engine, event: Mapping[str, Any]) -> None:
    ended = "UPDATE events SET starts_at = now() - interval '2 h', ends_at = now() - interval '1 h' WHERE id = :id"
    with database.begin() as connection:
        connection.execute(sa.text(ended), {"id": event["id"]})


def test_held_and_waiting_bookings_are_cancelled_before_the_account_is_deleted(
    client: FlaskClient, person: Account
) -> None:
    owner = make_owner(client)
    event = make_event(client, owner, capacity=2, waitlist="on")
    held = book(client, person, event, ticket_count=2, hold_minutes=10).json
    waiting = book(client, person, event, waitlist=True).json
    body = {"current_password": PASSWORD}

    refused = client.delete(f"{API}/users/me", headers=person.headers, json=body)
    deleted = client.delete(f"{API}/users/me", headers=person.headers, json=body | {"cancel_bookings": True})

    assert (held["status"], waiting["status"]) == ("held", "waitlisted")
    assert (refused.status_code, set(refused.json["booking_ids"])) == (409, {held["id"], waiting["id"]})
    assert deleted.status_code == 204
    assert [_read(client, booking, owner).json["status"] for booking in (held, waiting)] == ["cancelled"] * 2


def test_erasure_changes_the_etags_of_bookings(client: FlaskClient, database: sa.Engine, person: Account) -> None:
    owner, friend = make_owner(client), make_user(client)
    event = make_event(client, owner)
    own = book(client, person, event).json
    by_friend = book(client, friend, event, guest_name=NAME, guest_email=person.email).json
    by_key = book_for_guest(client, make_key(client, owner), event, guest_name=NAME, guest_email=person.email).json
    _end_event(database, event)
    bookings = (own, by_friend, by_key)
    etags = [_read(client, booking, owner).headers["ETag"] for booking in bookings]

    _delete(client, person)

    reads = [
        _read(client, booking, owner, **{"If-None-Match": etag}) for booking, etag in zip(bookings, etags, strict=True)
    ]
    assert [read.status_code for read in reads] == [200, 200, 200]


@pytest.mark.parametrize("external_id", ["{email}", "order-17/{email}", "ZULEIKA_DOBSON-17", "ms-z-dobson"])
def test_an_external_id_that_names_the_guest_is_replaced(
    client: FlaskClient, person: Account, external_id: str
) -> None:
    owner = make_owner(client)
    key, event = make_key(client, owner), make_event(client, owner)
    guest = {"guest_name": "Ms. Z. Dobson", "guest_email": person.email, "metadata": {"account": "4711"}}
    booked = book_for_guest(client, key, event, **guest, external_id=external_id.format(email=person.email)).json

    _delete(client, person)

    booking = _read(client, booked, key).json
    assert booking["external_id"].startswith("erased-")
    assert booking["metadata"] is None


def test_other_external_ids_still_identify_the_booking(client: FlaskClient, person: Account) -> None:
    owner = make_owner(client)
    key, event = make_key(client, owner), make_event(client, owner)
    order = {"guest_name": NAME, "guest_email": person.email, "external_id": "order-1797"}
    booked = book_for_guest(client, key, event, **order)
    _delete(client, person)

    repeated = book_for_guest(client, key, event, **order)

    assert (booked.status_code, repeated.status_code) == (201, 200)
    assert (repeated.json["id"], repeated.json["external_id"]) == (booked.json["id"], "order-1797")
    assert repeated.json["guest_name"] == "Deleted account"


@pytest.mark.parametrize("name", ["-", "Al"])
def test_a_name_that_says_nothing_keeps_the_external_id(client: FlaskClient, person: Account, name: str) -> None:
    owner = make_owner(client)
    key, event = make_key(client, owner), make_event(client, owner)
    order = {"guest_name": name, "guest_email": person.email, "external_id": "final-order-1797"}
    booked = book_for_guest(client, key, event, **order)
    _delete(client, person)

    repeated = book_for_guest(client, key, event, **order)

    assert (repeated.status_code, repeated.json["id"]) == (200, booked.json["id"])


def test_no_external_id_of_another_booking_prevents_an_erasure(client: FlaskClient, person: Account) -> None:
    owner = make_owner(client)
    key, event = make_key(client, owner), make_event(client, owner)
    guest = {"guest_name": NAME, "guest_email": person.email}
    booked = book_for_guest(client, key, event, **guest, external_id=f"for {NAME}").json
    book_for_guest(client, key, event, external_id=f"erased-{booked['id']}")

    _delete(client, person)

    assert _read(client, booked, key).json["external_id"].startswith("erased-")


def test_replayed_responses_show_nothing_about_the_guest(
    client: FlaskClient, database: sa.Engine, person: Account
) -> None:
    owner = make_owner(client)
    key, event = make_key(client, owner), make_event(client, owner)
    order = {
        "event_id": event["id"],
        "guest_name": NAME,
        "guest_email": person.email,
        "external_id": f"for {NAME}",
        "metadata": {"account": f"the account of {NAME}"},
    }
    headers = {**key.headers, "Idempotency-Key": "a-key"}
    booked = client.post(f"{API}/bookings/", headers=headers, json=order)
    assert booked.status_code == 201, booked.text
    _delete(client, person)

    repeated = client.post(f"{API}/bookings/", headers=headers, json=order)

    assert (repeated.status_code, repeated.headers["Idempotency-Replayed"]) == (201, "true")
    current = _read(client, booked.json, key).json
    members = ("id", "guest_name", "guest_email", "external_id", "metadata")
    assert {member: repeated.json[member] for member in members} == {member: current[member] for member in members}
    with database.connect() as connection:
        assert connection.scalars(sa.select(sa.func.count()).select_from(Booking)).one() == 1


def test_cached_responses_no_longer_show_the_contact_of_an_event(
    client: FlaskClient, database: sa.Engine, person: Account
) -> None:
    event = make_event(client, contact_name=NAME, contact_email=person.email)
    paths = [f"{API}/events/{event['id']}", f"{API}/events/"]
    for path in paths:
        assert NAME in client.get(path).text

    _delete(client, person)

    for path in paths:
        assert NAME not in client.get(path).text
