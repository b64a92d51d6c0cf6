"""ETags avoid repeated responses and prevent lost updates."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, Account, book, make_event, make_organizer, make_user, new_email

# URL of a resource, and an account that may read and change it.
Resource = tuple[str, Account]


def _event(client: FlaskClient) -> Resource:
    organizer = make_organizer(client)
    return f"{API}/events/{make_event(client, organizer)['id']}", organizer


def _booking(client: FlaskClient) -> Resource:
    user = make_user(client)
    return f"{API}/bookings/{book(client, user, make_event(client)).json['id']}", user


def _account(client: FlaskClient) -> Resource:
    return f"{API}/users/{make_user(client).id}", make_organizer(client)


def _profile(client: FlaskClient) -> Resource:
    return f"{API}/users/me", make_user(client)


every_resource = pytest.mark.parametrize(
    ("make", "change"),
    [
        (_event, {"title": "New"}),
        (_booking, {"guest_name": "New"}),
        (_account, {"name": "New"}),
        (_profile, {"name": "New"}),
    ],
    ids=["event", "booking", "account", "profile"],
)


@every_resource
def test_a_read_returns_304_until_the_resource_changes(
    client: FlaskClient, make: Callable[[FlaskClient], Resource], change: dict[str, str]
) -> None:
    url, account = make(client)
    etag = client.get(url, headers=account.headers).headers["ETag"]

    same = client.get(url, headers={**account.headers, "If-None-Match": etag})
    client.patch(url, headers=account.headers, json=change)
    changed = client.get(url, headers={**account.headers, "If-None-Match": etag})

    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    assert (changed.status_code, changed.headers["ETag"] != etag) == (200, True)


@every_resource
def test_a_change_with_a_stale_etag_is_refused(
    client: FlaskClient, make: Callable[[FlaskClient], Resource], change: dict[str, str]
) -> None:
    url, account = make(client)
    etag = client.get(url, headers=account.headers).headers["ETag"]

    def changed(if_match: str, changes: dict[str, str]) -> Any:
        return client.patch(url, headers={**account.headers, "If-Match": if_match}, json=changes)

    first = changed(etag, change)
    late = changed(etag, dict.fromkeys(change, "Late"))

    assert first.status_code == 200
    assert (late.status_code, late.json["code"]) == (412, "stale-version")
    assert client.get(url, headers=account.headers).json == first.json
    assert changed(first.headers["ETag"], dict.fromkeys(change, "Third")).status_code == 200
    assert changed("*", dict.fromkeys(change, "Fourth")).status_code == 200
    assert changed('"x", W/"1"', change).status_code == 412


@pytest.mark.parametrize("header", ['""', '"1', "1", '"', ",", "", 'W/"1"', '"2", ""', '"1-', "é"])
def test_an_invalid_or_unknown_etag_in_if_match_is_refused(client: FlaskClient, header: str) -> None:
    url, account = _event(client)
    headers = {**account.headers, "If-Match": header.encode().decode("latin-1")}

    response = client.delete(url, headers=headers)

    assert (response.status_code, response.json["code"]) == (412, "stale-version")
    assert client.get(url).status_code == 200


def test_reads_ignore_if_match(client: FlaskClient) -> None:
    url, account = _profile(client)

    for method in ("GET", "HEAD"):
        assert client.open(url, method=method, headers={**account.headers, "If-Match": '"99"'}).status_code == 200


def test_inviting_an_account_again_changes_its_version(client: FlaskClient) -> None:
    organizer, invitation = make_organizer(client), {"email": new_email()}
    first = client.post(f"{API}/users/", headers=organizer.headers, json=invitation)
    again = client.post(f"{API}/users/", headers=organizer.headers, json={**invitation, "role": "organizer"})

    assert (first.headers["ETag"], again.headers["ETag"]) == ('"1"', '"2"')


def test_a_booking_changes_the_etag_of_its_event_without_blocking_its_organizer(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    event = make_event(client, organizer)
    url = f"{API}/events/{event['id']}"
    etag = client.get(url).headers["ETag"]
    book(client, make_user(client), event)

    assert client.get(url, headers={"If-None-Match": etag}).status_code == 200
    changed = client.patch(url, headers={**organizer.headers, "If-Match": etag}, json={"title": "New"})
    assert changed.status_code == 200


def test_booking_and_cancelling_changes_the_etag_of_the_event(
    client: FlaskClient,
) -> None:
    user, event = make_user(client), make_event(client)
    url = f"{API}/events/{event['id']}"
    before = client.get(url)
    booking = book(client, user, event).json
    client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers)

    after = client.get(url, headers={"If-None-Match": before.headers["ETag"]})

    assert after.status_code == 200
    assert after.json["tickets_booked"] == before.json["tickets_booked"]
    assert after.json["updated_at"] > before.json["updated_at"]


def test_the_response_to_a_change_has_the_new_etag(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    event = make_event(client, organizer)
    url = f"{API}/events/{event['id']}"

    changed = client.patch(url, headers=organizer.headers, json={"title": "New"})

    assert changed.headers["ETag"] == client.get(url).headers["ETag"]


def test_the_response_to_a_creation_has_the_etag_of_the_new_resource(client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client)
    for extra in ({}, {"Idempotency-Key": "a-key"}):
        response = client.post(f"{API}/bookings/", headers={**user.headers, **extra}, json={"event_id": event["id"]})
        read = client.get(response.headers["Location"], headers=user.headers)
        assert response.headers["ETag"] == read.headers["ETag"]
