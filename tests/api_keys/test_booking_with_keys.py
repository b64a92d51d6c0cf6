"""Programs book tickets for guests who have no account."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
from tests.factories import (
    API,
    Account,
    Key,
    book,
    book_for_guest,
    make_event,
    make_key,
    make_user,
)
from tests.service import Service

GRACE = {"guest_name": "Grace Hopper", "guest_email": "grace@example.com"}


def _list(client: FlaskClient, key: Key, query: str = "") -> list[str]:
    response = client.get(f"{API}/bookings/?{query}", headers=key.headers)
    assert response.status_code == 200, response.text
    return [booking["id"] for booking in response.json]


def test_a_key_books_for_a_guest(client: FlaskClient, key: Key, event: dict[str, Any], database: sa.Engine) -> None:
    booked = book_for_guest(
        client, key, event, **GRACE, ticket_count=2, external_id="order-1", metadata={"seat": "12", "note": ""}
    )

    assert booked.status_code == 201, booked.text
    booking = booked.json
    assert (booking["user_id"], booking["api_key_id"], booking["booked_by"]) == (None, key.id, "Website")
    assert (booking["external_id"], booking["metadata"]) == ("order-1", {"seat": "12", "note": ""})
    assert client.get(booked.headers["Location"], headers=key.headers).json == booking
    assert client.get(f"{API}/events/{event['id']}").json["tickets_booked"] == 2
    with database.connect() as connection:
        emails = sa.select(OutboxEmail.kind, OutboxEmail.recipient, OutboxEmail.user_id, OutboxEmail.payload)
        [(kind, recipient, user_id, payload)] = connection.execute(emails).all()
    assert (kind, recipient, user_id) == ("booking_confirmed", "grace@example.com", None)
    assert (payload["buyer_name"], payload["buyer_email"]) == ("Box office", "office@example.com")


def test_bookings_of_accounts_name_no_key(client: FlaskClient, event: dict[str, Any]) -> None:
    user = make_user(client)

    booking = book(client, user, event).json

    assert booking["user_id"] == user.id
    assert {booking[name] for name in ("api_key_id", "booked_by", "external_id", "metadata")} == {None}


@pytest.mark.parametrize("missing", GRACE)
def test_a_key_must_name_the_guest(client: FlaskClient, key: Key, event: dict[str, Any], missing: str) -> None:
    guest = {name: value for name, value in GRACE.items() if name != missing}

    response = client.post(f"{API}/bookings/", headers=key.headers, json={"event_id": event["id"], **guest})

    assert (response.status_code, response.json["code"]) == (422, "invalid-input")
    assert [error["field"] for error in response.json["errors"]] == [missing]


@pytest.mark.parametrize("field", [{"external_id": "order-1"}, {"metadata": {"seat": "12"}}], ids=str)
def test_accounts_cannot_set_the_fields_of_keys(
    client: FlaskClient, event: dict[str, Any], user: Account, field: dict[str, Any]
) -> None:
    response = book(client, user, event, **field)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [*field]


@pytest.mark.parametrize(
    "metadata",
    [
        {str(number): "" for number in range(21)},
        {"k" * 41: "value"},
        {"": "value"},
        {"key": "v" * 501},
        {"key": 5},
        {"key": None},
        {"key": {"nested": "value"}},
        {"key": "a\x00b"},
        ["key"],
        "key",
        None,
    ],
    ids=lambda metadata: str(metadata)[:20],
)
def test_metadata_is_limited_text(client: FlaskClient, key: Key, event: dict[str, Any], metadata: object) -> None:
    response = book_for_guest(client, key, event, metadata=metadata)

    assert response.status_code == 422
    assert {error["field"].partition(".")[0] for error in response.json["errors"]} == {"metadata"}


def test_the_longest_metadata_is_stored_as_sent(client: FlaskClient, key: Key, event: dict[str, Any]) -> None:
    metadata = {f"{number:040}": "\u00e4" * 500 for number in range(20)}

    assert book_for_guest(client, key, event, metadata=metadata).json["metadata"] == metadata


def test_a_repeated_external_id_returns_the_existing_booking(
    client: FlaskClient, key: Key, event: dict[str, Any], organizer: Account
) -> None:
    order = {**GRACE, "external_id": "order-1", "ticket_count": 2, "metadata": {"b": "1", "a": "2"}}
    first = book_for_guest(client, key, event, **order)
    other = make_key(client, organizer, name="Other")
    changed = client.patch(f"{API}/bookings/{first.json['id']}", headers=key.headers, json={"ticket_count": 1})

    again = book_for_guest(client, other, event, **{**order, "metadata": {"a": "2", "b": "1"}})

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.json == changed.json
    assert again.headers["Location"] == first.headers["Location"]
    assert client.get(f"{API}/events/{event['id']}").json["tickets_booked"] == 1


@pytest.mark.parametrize(
    "difference",
    [{"ticket_count": 2}, {"guest_name": "Ada"}, {"guest_email": "ada@example.com"}, {"metadata": {"a": "b"}}],
    ids=str,
)
def test_an_external_id_belongs_to_one_order(
    client: FlaskClient, key: Key, event: dict[str, Any], difference: dict[str, Any]
) -> None:
    order = {**GRACE, "external_id": "order-1"}
    book_for_guest(client, key, event, **order)

    response = book_for_guest(client, key, event, **{**order, **difference})

    assert (response.status_code, response.json["code"]) == (409, "external-id-taken")


def test_an_external_id_is_unique_across_events(
    client: FlaskClient, key: Key, event: dict[str, Any], organizer: Account
) -> None:
    book_for_guest(client, key, event, **GRACE, external_id="order-1")

    response = book_for_guest(client, key, make_event(client, organizer), **GRACE, external_id="order-1")

    assert (response.status_code, response.json["code"]) == (409, "external-id-taken")


def test_of_simultaneous_orders_for_two_events_only_one_gets_the_external_id(
    service: Service, client: FlaskClient, key: Key, organizer: Account
) -> None:
    events = [make_event(client, organizer) for _ in range(8)]

    def order(event: dict[str, Any]) -> httpx.Response:
        body = {"event_id": event["id"], **GRACE, "external_id": "order-1"}
        return httpx.post(f"{service.api}/bookings/", headers=dict(key.headers), json=body)

    with ThreadPoolExecutor(len(events)) as threads:
        responses = list(threads.map(order, events))

    assert sorted(response.status_code for response in responses) == [201] + [409] * 7
    assert {response.json()["code"] for response in responses if response.status_code == 409} == {"external-id-taken"}


def test_idempotency_keys_work_with_api_keys(
    client: FlaskClient, key: Key, event: dict[str, Any], organizer: Account
) -> None:
    body = {"event_id": event["id"], **GRACE}
    headers = {**key.headers, "Idempotency-Key": "one"}
    first = client.post(f"{API}/bookings/", headers=headers, json=body)

    again = client.post(f"{API}/bookings/", headers=headers, json=body)
    reused = client.post(f"{API}/bookings/", headers=headers, json={**body, "ticket_count": 2})
    other = {**make_key(client, organizer).headers, "Idempotency-Key": "one"}
    of_other_key = client.post(f"{API}/bookings/", headers=other, json=body)

    assert (again.status_code, again.json, again.headers["Idempotency-Replayed"]) == (201, first.json, "true")
    assert (reused.status_code, reused.json["code"]) == (422, "idempotency-key-reused")
    assert of_other_key.json["id"] != first.json["id"]


def test_a_key_manages_the_bookings_of_its_organization(client: FlaskClient, key: Key, event: dict[str, Any]) -> None:
    """Including those that accounts made."""
    booking = book(client, make_user(client), event).json
    path = f"{API}/bookings/{booking['id']}"

    assert client.get(path, headers=key.headers).json == booking
    assert client.get(f"{path}/calendar.ics", headers=key.headers).status_code == 200
    assert client.get(f"{path}/emails", headers=key.headers).json
    assert client.post(f"{path}/emails", headers=key.headers).status_code == 202
    changed = client.patch(path, headers=key.headers, json=GRACE)
    assert (changed.status_code, changed.json["guest_name"]) == (200, "Grace Hopper")
    assert client.delete(path, headers=key.headers).json["status"] == "cancelled"
    listed = client.get(f"{API}/events/{event['id']}/bookings", headers=key.headers).json
    assert [one["id"] for one in listed] == [booking["id"]]


def test_the_attendees_of_keys_are_in_the_csv_file(client: FlaskClient, key: Key, event: dict[str, Any]) -> None:
    book_for_guest(client, key, event, **GRACE, external_id="0012", metadata={"seat": "=12"})

    file = client.get(f"{API}/events/{event['id']}/bookings", headers={**key.headers, "Accept": "text/csv"}).text

    assert key.id in file
    assert '"\'0012"' in file
    assert '"{""seat"":""=12""}"' in file


def test_a_key_lists_the_bookings_made_with_the_keys_of_its_organization(
    client: FlaskClient, key: Key, event: dict[str, Any], organizer: Account
) -> None:
    book(client, make_user(client), event)
    other = make_key(client, organizer, name="Other")
    first = book_for_guest(client, key, event, external_id="order-1").json["id"]
    second = book_for_guest(client, other, event).json["id"]

    assert _list(client, key) == _list(client, other) == [second, first]
    assert _list(client, key, "external_id=order-1") == [first]
    assert _list(client, key, "external_id=order-2") == []
    assert _list(client, key, "upcoming=false") == []
