"""Requests with an `Idempotency-Key` that create events, accounts, invitations and emails.

`tests/bookings/test_idempotency.py` has the tests of bookings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api import audit
from bookings_api.models import Event, IdempotencyKey, OutboxEmail, TeamMember, User
from tests.concurrency.harness import count_of, race
from tests.factories import API, EVENT, PASSWORD, book, make_event, make_organizer, make_user, new_email, verify_email
from tests.http_client import http_client
from tests.service import Service


@dataclass(frozen=True)
class Creation:
    """A request that creates a row of `model`, and changes that make its body different or invalid."""

    path: str
    model: Any
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)
    invalid: Mapping[str, Any] = field(default_factory=dict)

    def send(self, client: FlaskClient, key: str = "a-key", **changes: Any) -> Any:
        body = {**(self.body or {}), **changes} or None
        return client.post(f"{API}{self.path}", headers={**self.headers, "Idempotency-Key": key}, json=body)


def _event(client: FlaskClient) -> Creation:
    headers = make_organizer(client).headers
    return Creation("/events/", Event, EVENT, headers, {"capacity": 11}, {"starts_at": "2001-01-01T00:00:00Z"})


def _invitation(client: FlaskClient) -> Creation:
    headers, taken = make_organizer(client).headers, verify_email(client, make_user(client)).email
    return Creation("/users/", User, {"email": new_email()}, headers, {"name": "Colette"}, {"email": taken})


def _team_member(client: FlaskClient) -> Creation:
    organizer = make_organizer(client)
    member = {"email": new_email(), "role": "check_in"}
    path = f"/events/{make_event(client, organizer)['id']}/team"
    return Creation(path, TeamMember, member, organizer.headers, {"role": "co_organizer"}, {"email": organizer.email})


def _signup(client: FlaskClient) -> Creation:
    account = {"email": new_email(), "password": PASSWORD, "name": "Ada"}
    return Creation("/auth/signup", User, account, {}, {"name": "Eve"}, {"email": make_user(client).email})


def _resend(client: FlaskClient) -> Creation:
    user = make_user(client)
    booking = book(client, user, make_event(client)).json
    return Creation(f"/bookings/{booking['id']}/emails", OutboxEmail, None, user.headers)


@pytest.fixture(params=[_event, _invitation, _team_member, _signup, _resend], ids=lambda make: make.__name__[1:])
def creation(client: FlaskClient, request: pytest.FixtureRequest) -> Creation:
    make: Callable[[FlaskClient], Creation] = request.param
    return make(client)


@pytest.fixture(params=[_event, _invitation, _team_member, _signup], ids=lambda make: make.__name__[1:])
def creation_with_body(client: FlaskClient, request: pytest.FixtureRequest) -> Creation:
    make: Callable[[FlaskClient], Creation] = request.param
    return make(client)


def test_a_repeated_request_gets_the_first_response_and_creates_nothing(
    client: FlaskClient, database: sa.Engine, creation: Creation
) -> None:
    first = creation.send(client)
    created = count_of(database, creation.model)
    again = creation.send(client)

    assert first.status_code in {201, 202}
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers.get("Location") == first.headers.get("Location")
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert count_of(database, creation.model) == created
    with database.connect() as connection:
        assert [*audit.violations(connection, emails_since=timedelta(days=1), only=["idempotency_key"])] == []


def test_requests_with_different_keys_are_independent(client: FlaskClient, database: sa.Engine) -> None:
    event = _event(client)

    assert [event.send(client, key).status_code for key in ("one", "two")] == [201, 201]
    assert count_of(database, Event) == 2


def test_a_different_body_with_the_same_key_is_refused(
    client: FlaskClient, database: sa.Engine, creation_with_body: Creation
) -> None:
    creation_with_body.send(client)
    created = count_of(database, creation_with_body.model)

    response = creation_with_body.send(client, **creation_with_body.other)

    assert (response.status_code, response.json["code"]) == (422, "idempotency-key-reused")
    assert count_of(database, creation_with_body.model) == created


def test_a_key_cannot_be_used_for_another_operation(client: FlaskClient) -> None:
    event, user = _event(client), make_user(client)
    event.send(client)
    invitation = Creation("/users/", User, {"email": new_email()}, event.headers)
    bookings = [book(client, user, make_event(client)).json["id"] for _ in range(2)]
    resent = [Creation(f"/bookings/{id_}/emails", OutboxEmail, None, user.headers).send(client) for id_ in bookings]

    assert invitation.send(client).json["code"] == "idempotency-key-reused"
    assert [response.status_code for response in resent] == [202, 422]


def test_a_refused_request_does_not_use_up_its_key(
    client: FlaskClient, database: sa.Engine, creation_with_body: Creation
) -> None:
    refused = creation_with_body.send(client, **creation_with_body.invalid)

    assert refused.status_code in {409, 422}
    assert count_of(database, IdempotencyKey) == 0
    assert creation_with_body.send(client).status_code == 201


def test_an_invalid_key_is_reported(client: FlaskClient, creation: Creation) -> None:
    response = creation.send(client, "two words")

    assert response.status_code == 422
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [("header", "Idempotency-Key")]


def test_a_repeated_second_invitation_is_not_a_new_account(client: FlaskClient) -> None:
    invitation = _invitation(client)
    invitation.send(client, "first")

    responses = [invitation.send(client, "second") for _ in range(2)]

    assert [response.status_code for response in responses] == [200, 200]
    assert "Location" not in responses[1].headers
    assert responses[0].data == responses[1].data


def test_a_stored_signup_is_returned_only_for_the_password_of_the_account(
    client: FlaskClient, database: sa.Engine
) -> None:
    signup = _signup(client)
    signup.send(client)

    assert signup.send(client, password="a guess of a stranger").json["code"] == "email-taken"
    with database.connect() as connection:
        [stored] = connection.scalars(sa.select(sa.cast(IdempotencyKey.response, sa.Text)))
    assert PASSWORD not in stored


def test_a_known_key_does_not_allow_guessing_a_password(client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client)
    order = {"event_id": event["id"]}
    client.post(f"{API}/bookings/", headers={**user.headers, "Idempotency-Key": "a-key"}, json=order)

    codes = {
        client.post(
            f"{API}/auth/signup",
            headers={"Idempotency-Key": "a-key"},
            json={"email": user.email, "password": password, "name": "Ada"},
        ).json["code"]
        for password in (PASSWORD, "a guess of a stranger")
    }

    assert codes == {"idempotency-key-reused"}


def test_replays_do_not_count_against_limits_on_emails(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("MAIL_RESEND_LIMIT", "INVITATION_LIMIT", "GUEST_MAIL_LIMIT"):
        monkeypatch.setitem(app.config, limit, "1 per hour")

    for creation in (_invitation(client), _resend(client)):
        assert {creation.send(client).status_code for _ in range(3)} <= {201, 202}
        assert creation.send(client, "another-key").status_code == 429


def test_simultaneous_requests_have_one_effect_and_get_one_response(
    client: FlaskClient, database: sa.Engine, service: Service, creation: Creation
) -> None:
    before = count_of(database, creation.model)

    with http_client(service.api) as http:

        def send(_: int) -> str:
            headers = {**creation.headers, "Idempotency-Key": "a-key"}
            response = http.post(creation.path, headers=headers, json=creation.body)
            return f"{response.status_code} {response.text}"

        responses = race(send, clients=3)

    assert len(responses) == 1
    assert next(iter(responses))[:3] in {"201", "202"}
    assert count_of(database, creation.model) == before + 1
