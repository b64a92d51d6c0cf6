"""The login of a booking is checked under the lock of its event, and that of a list in the query that reads it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.models import Booking, Event
from tests.factories import API, PASSWORD, Account, book, log_in, make_event, make_organizer, make_user


def _log_out(client: FlaskClient, user: Account) -> None:
    assert client.post(f"{API}/auth/logout", headers=user.headers).status_code == 204


def _be_deactivated(client: FlaskClient, user: Account) -> None:
    organizer = make_organizer(client)
    assert client.delete(f"{API}/users/{user.id}", headers=organizer.headers).status_code == 204


def _change_password_in_another_login(client: FlaskClient, user: Account) -> None:
    passwords = {"current_password": PASSWORD, "new_password": "another horse battery"}
    other = log_in(client, user)
    assert client.post(f"{API}/users/me/password", headers=other.headers, json=passwords).status_code == 204


# Requests that would be refused in any case, and one that would not.
REFUSED: list[dict[str, Any]] = [
    {"json": {}},
    {"json": {"event_id": "none"}},
    {"data": "x"},
    {"data": "x" * 300_000, "content_type": "application/json"},
    {},
]

ENDS = [_log_out, _be_deactivated, _change_password_in_another_login]


def _stored(database: sa.Engine) -> tuple[int, int]:
    with database.connect() as connection:
        booked = connection.scalars(sa.select(Event.tickets_booked)).one()
        return booked, connection.scalars(sa.select(sa.func.count()).select_from(Booking)).one()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "a-key"}], ids=["without a key", "with a key"])
def test_an_ended_login_cannot_book(
    client: FlaskClient, database: sa.Engine, end: Callable[[FlaskClient, Account], None], key: dict[str, str]
) -> None:
    event, user = make_event(client), make_user(client)
    order = {"event_id": event["id"]}
    assert client.post(f"{API}/bookings/", headers={**user.headers, **key}, json=order).status_code == 201
    end(client, user)

    response = client.post(f"{API}/bookings/", headers={**user.headers, **key}, json=order)

    assert (response.status_code, response.json["code"]) == (401, "unauthenticated")
    assert _stored(database) == (1, 1)


@pytest.mark.parametrize("body", [{}, {"event_id": "none"}, {"unknown": 1}])
def test_an_ended_login_is_reported_before_any_other_error(client: FlaskClient, body: dict[str, Any]) -> None:
    user = make_user(client)
    assert book(client, user, make_event(client)).status_code == 201
    _log_out(client, user)

    response = client.post(f"{API}/bookings/", headers=user.headers, json=body)

    assert (response.status_code, response.json["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("query", ["", "?page=2", "?after=", "?status=cancelled", "?page=none"])
def test_an_ended_login_cannot_list_bookings(
    client: FlaskClient, end: Callable[[FlaskClient, Account], None], query: str
) -> None:
    user = make_user(client)
    assert book(client, user, make_event(client)).status_code == 201
    end(client, user)

    response = client.get(f"{API}/bookings/{query}", headers=user.headers)

    assert (response.status_code, response.json["code"]) == (401, "unauthenticated")


def test_a_list_of_bookings_may_be_empty_and_is_private(client: FlaskClient) -> None:
    response = client.get(f"{API}/bookings/", headers=make_user(client).headers)

    assert (response.status_code, response.json) == (200, [])
    assert response.headers["Cache-Control"] == "private, no-cache"


def test_the_guest_has_the_current_name_of_the_account(client: FlaskClient) -> None:
    event, user = make_event(client), make_user(client)
    assert book(client, user, event).json["guest_name"] == "Ada Lovelace"
    client.patch(f"{API}/users/me", headers=user.headers, json={"name": "Ada King"})

    assert book(client, user, event).json["guest_name"] == "Ada King"


@pytest.mark.parametrize("options", REFUSED, ids=["empty", "invalid value", "not JSON", "too large", "valid order"])
def test_requests_with_an_ended_login_do_not_count_against_the_account(
    client: FlaskClient, app: Flask, options: dict[str, Any]
) -> None:
    event, user = make_event(client), make_user(client)
    ended = log_in(client, user)
    app.config["BOOKING_LIMIT"], usual = "3 per hour", app.config["BOOKING_LIMIT"]
    options = options or {"json": {"event_id": event["id"]}}
    try:
        assert book(client, ended, event).status_code == 201
        _log_out(client, ended)
        responses = [client.post(f"{API}/bookings/", headers=ended.headers, **options) for _ in range(5)]

        assert {response.status_code for response in responses} == {401}
        assert not [name for response in responses for name, _ in response.headers if name.startswith("RateLimit")]
        assert [book(client, user, event).status_code for _ in range(3)] == [201, 201, 429]
    finally:
        app.config["BOOKING_LIMIT"] = usual
