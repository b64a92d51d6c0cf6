"""A booking sent twice under one key is made once."""

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


def test_the_same_request_again_gets_the_first_answer_and_books_nothing(
    client: FlaskClient, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client)
    first = _book(client, user, "a-key", event_id=event["id"], ticket_count=2)
    client.delete(first.headers["Location"], headers=user.headers)

    again = _book(client, user, "a-key", ticket_count=2, event_id=event["id"])

    assert first.status_code == again.status_code == 201
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert _count(database) == 1


def test_the_answer_is_the_one_without_a_key(client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client)

    first = _book(client, user, "a-key", event_id=event["id"])

    assert client.get(first.headers["Location"], headers=user.headers).json == first.json


def test_another_request_under_the_key_is_refused(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)
    _book(client, user, "a-key", event_id=event["id"], ticket_count=2)

    response = _book(client, user, "a-key", event_id=event["id"], ticket_count=3)

    assert (response.status_code, response.json["code"]) == (422, "idempotency-key-reused")
    assert _count(database) == 1


def test_a_key_is_its_users_own(client: FlaskClient, database: sa.Engine) -> None:
    event = make_event(client)

    for _ in range(2):
        assert _book(client, make_user(client), "a-key", event_id=event["id"]).status_code == 201

    assert _count(database) == 2


def test_a_refused_booking_leaves_its_key_free(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client, capacity=1)
    holder = make_user(client)
    held = _book(client, holder, "x", event_id=event["id"])
    assert _book(client, user, "a-key", event_id=event["id"]).json["code"] == "sold-out"
    client.delete(held.headers["Location"], headers=holder.headers)

    assert _book(client, user, "a-key", event_id=event["id"]).status_code == 201
    with database.connect() as connection:
        assert sorted(connection.scalars(sa.select(IdempotencyKey.key))) == ["a-key", "x"]


def test_a_request_whose_key_is_being_worked_on_is_told_so(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)
    held = sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(f"{user.id} a-key", 0))
    with database.begin() as connection:
        assert connection.scalars(sa.select(held)).one()

        response = _book(client, user, "a-key", event_id=event["id"])

    assert (response.status_code, response.json["code"]) == (409, "request-in-flight")


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "two words"])
def test_a_key_that_is_none_is_named(client: FlaskClient, key: str) -> None:
    response = _book(client, make_user(client), key.encode().decode("latin-1"), event_id=make_event(client)["id"])

    assert response.status_code == 422
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [("header", "Idempotency-Key")]
