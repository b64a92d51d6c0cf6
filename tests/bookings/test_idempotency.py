"""A booking sent twice with the same `Idempotency-Key` is made once."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking, IdempotencyKey
from tests.factories import API, Account, make_event, make_user


def _book(client: FlaskClient, user: Account, key: str, **order: Any) -> Any:
    return client.post(f"{API}/bookings/", headers={**user.headers, "Idempotency-Key": key}, json=order)


def _count(database: sa.Engine) -> int:
    with database.connect() as connection:
        return connection.scalars(sa.select(sa.func.count()).select_from(Booking)).one()


def test_a_repeated_request_gets_the_first_response_and_books_nothing(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)
    first = _book(client, user, "a-key", event_id=event["id"], ticket_count=2)
    client.delete(first.headers["Location"], headers=user.headers)

    again = _book(client, user, "a-key", ticket_count=2, event_id=event["id"])

    assert first.status_code == again.status_code == 201
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert _count(database) == 1


def test_the_response_equals_the_booking(client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client)

    first = _book(client, user, "a-key", event_id=event["id"])

    assert client.get(first.headers["Location"], headers=user.headers).json == first.json


def test_a_different_request_with_the_same_key_is_refused(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)
    _book(client, user, "a-key", event_id=event["id"], ticket_count=2)

    response = _book(client, user, "a-key", event_id=event["id"], ticket_count=3)

    assert (response.status_code, response.json["code"]) == (422, "idempotency-key-reused")
    assert _count(database) == 1


def test_keys_of_different_users_are_independent(client: FlaskClient, database: sa.Engine) -> None:
    event = make_event(client)

    for _ in range(2):
        assert _book(client, make_user(client), "a-key", event_id=event["id"]).status_code == 201

    assert _count(database) == 2


def test_a_refused_booking_does_not_use_up_its_key(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client, capacity=1)
    holder = make_user(client)
    held = _book(client, holder, "x", event_id=event["id"])
    assert _book(client, user, "a-key", event_id=event["id"]).json["code"] == "sold-out"
    client.delete(held.headers["Location"], headers=holder.headers)

    assert _book(client, user, "a-key", event_id=event["id"]).status_code == 201
    with database.connect() as connection:
        assert sorted(connection.scalars(sa.select(IdempotencyKey.key))) == ["a-key", "x"]


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "two words"])
def test_an_invalid_key_is_reported(client: FlaskClient, key: str) -> None:
    response = _book(client, make_user(client), key.encode().decode("latin-1"), event_id=make_event(client)["id"])

    assert response.status_code == 422
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [("header", "Idempotency-Key")]
