"""A booking looks at the login in the statement that books, whatever this process remembers of it."""

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


def _set_another_password_elsewhere(client: FlaskClient, user: Account) -> None:
    passwords = {"current_password": PASSWORD, "new_password": "another horse battery"}
    other = log_in(client, user)
    assert client.post(f"{API}/users/me/password", headers=other.headers, json=passwords).status_code == 204


# What each of them would be refused for in any case, and one that would not be.
REFUSED: list[dict[str, Any]] = [
    {"json": {}},
    {"json": {"event_id": "none"}},
    {"data": "x"},
    {"data": "x" * 300_000, "content_type": "application/json"},
    {},
]

ENDS = [_log_out, _be_deactivated, _set_another_password_elsewhere]


def _stored(database: sa.Engine) -> tuple[int, int]:
    with database.connect() as connection:
        booked = connection.scalars(sa.select(Event.tickets_booked)).one()
        return booked, connection.scalars(sa.select(sa.func.count()).select_from(Booking)).one()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "a-key"}], ids=["without a key", "with a key"])
def test_a_login_that_is_over_books_nothing_from_the_very_next_request_on(
    client: FlaskClient, database: sa.Engine, end: Callable[[FlaskClient, Account], None], key: dict[str, str]
) -> None:
    event, user = make_event(client), make_user(client)
    order = {"event_id": event["id"]}
    assert client.post(f"{API}/bookings/", headers={**user.headers, **key}, json=order).status_code == 201
    end(client, user)

    answer = client.post(f"{API}/bookings/", headers={**user.headers, **key}, json=order)

    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert _stored(database) == (1, 1)


@pytest.mark.parametrize("body", [{}, {"event_id": "none"}, {"unknown": 1}])
def test_who_has_no_login_any_more_is_told_nothing_else(client: FlaskClient, body: dict[str, Any]) -> None:
    user = make_user(client)
    assert book(client, user, make_event(client)).status_code == 201
    _log_out(client, user)

    answer = client.post(f"{API}/bookings/", headers=user.headers, json=body)

    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")


def test_a_guest_is_called_as_the_account_is_called_now(client: FlaskClient) -> None:
    event, user = make_event(client), make_user(client)
    assert book(client, user, event).json["guest_name"] == "Ada Lovelace"
    client.patch(f"{API}/users/me", headers=user.headers, json={"name": "Ada King"})

    assert book(client, user, event).json["guest_name"] == "Ada King"


@pytest.mark.parametrize("options", REFUSED, ids=["nothing", "a bad value", "no JSON", "too large", "an order"])
def test_what_is_sent_with_a_login_that_is_over_is_not_counted_for_the_account(
    client: FlaskClient, app: Flask, options: dict[str, Any]
) -> None:
    event, user = make_event(client), make_user(client)
    over = log_in(client, user)
    app.config["BOOKING_LIMIT"], usual = "3 per hour", app.config["BOOKING_LIMIT"]
    options = options or {"json": {"event_id": event["id"]}}
    try:
        assert book(client, over, event).status_code == 201
        _log_out(client, over)
        answers = [client.post(f"{API}/bookings/", headers=over.headers, **options) for _ in range(5)]

        assert {answer.status_code for answer in answers} == {401}
        assert not [name for answer in answers for name, _ in answer.headers if name.startswith("RateLimit")]
        assert [book(client, user, event).status_code for _ in range(3)] == [201, 201, 429]
    finally:
        app.config["BOOKING_LIMIT"] = usual
