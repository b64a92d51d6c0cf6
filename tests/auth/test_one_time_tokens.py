"""Password resets and invitations: one-time tokens sent by email."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import tasks
from bookings_api.models import OneTimeToken, OutboxEmail, User
from tests.factories import API, PASSWORD, Account, log_in, make_organizer, make_user, new_email, verify_email
from tests.mailbox import Mailbox, part

NEW_PASSWORD = "another horse battery"

LatestToken = Callable[[str], str]


@pytest.fixture
def latest_token(app: Flask, mailbox: Mailbox) -> LatestToken:
    """Send all pending emails and return the token in the only new message to an address."""

    def read(address: str) -> str:
        known = {message["Message-ID"] for message in mailbox.to(address)}
        with app.app_context():
            tasks.drain()
        messages = mailbox.wait_for(address, count=len(known) + 1)
        (message,) = [message for message in messages if message["Message-ID"] not in known]
        found = re.search(r"^  ([\w-]{43})$", part(message, "plain"), re.MULTILINE)
        assert found
        return found[1]

    return read


def _request_reset(client: FlaskClient, address: str) -> Any:
    return client.post(f"{API}/auth/password-reset", json={"email": address})


def _reset(client: FlaskClient, token: str, password: str = NEW_PASSWORD) -> Any:
    return client.post(f"{API}/auth/password-reset/confirm", json={"token": token, "password": password})


def _log_in(client: FlaskClient, address: str, password: str) -> int:
    return client.post(f"{API}/auth/login", json={"email": address, "password": password}).status_code


def test_a_password_reset_sets_the_new_password_and_ends_every_login(
    client: FlaskClient, latest_token: LatestToken
) -> None:
    user = make_user(client)
    other_login = log_in(client, user)
    assert _request_reset(client, user.email.upper()).status_code == 202
    token = latest_token(user.email)

    assert _reset(client, token).status_code == 204

    assert (_log_in(client, user.email, PASSWORD), _log_in(client, user.email, NEW_PASSWORD)) == (401, 200)
    for login in (user, other_login):
        assert client.get(f"{API}/users/me", headers=login.headers).status_code == 401


def test_only_the_latest_reset_token_works_and_only_once(client: FlaskClient, latest_token: LatestToken) -> None:
    user = make_user(client)
    _request_reset(client, user.email)
    first = latest_token(user.email)
    _request_reset(client, user.email)
    second = latest_token(user.email)

    assert _reset(client, first).json["code"] == "invalid-token"
    assert _reset(client, second).status_code == 204
    assert _reset(client, second).json["code"] == "invalid-token"


def test_requesting_a_reset_for_an_unknown_address_sends_no_email(
    client: FlaskClient, database: sa.Engine, mailbox: Mailbox, latest_token: LatestToken
) -> None:
    user, unknown = make_user(client), new_email()

    for address in (user.email, unknown):
        assert _request_reset(client, address).status_code == 202

    latest_token(user.email)
    assert mailbox.to(unknown) == []
    with database.connect() as connection:
        assert connection.scalars(sa.select(OutboxEmail.recipient)).all() == [user.email]


def test_a_reset_token_fails_as_an_invitation_and_after_it_expires(
    client: FlaskClient, database: sa.Engine, latest_token: LatestToken
) -> None:
    user = make_user(client)
    _request_reset(client, user.email)
    token = latest_token(user.email)

    assert _accept(client, token).json["code"] == "invalid-token"
    with database.begin() as connection:
        connection.execute(sa.update(OneTimeToken).values(expires_at=sa.func.now()))
    assert _reset(client, token).json["code"] == "invalid-token"


def test_the_database_stores_no_one_time_token(
    client: FlaskClient, database: sa.Engine, latest_token: LatestToken
) -> None:
    user = make_user(client)
    _request_reset(client, user.email)
    token = latest_token(user.email)

    with database.connect() as connection:
        rows = [connection.execute(sa.select(model)).all() for model in (OutboxEmail, OneTimeToken)]

    assert token not in str(rows)


@pytest.mark.parametrize("token", ["x", "a" * 43, "é", "' OR 1=1 --"])
def test_an_unknown_token_is_reported_as_an_invalid_field(client: FlaskClient, token: str) -> None:
    response = _reset(client, token)

    assert (response.status_code, response.json["code"]) == (422, "invalid-token")
    assert [error["field"] for error in response.json["errors"]] == ["token"]


def _invite(client: FlaskClient, organizer: Account, address: str, **fields: Any) -> Any:
    return client.post(f"{API}/users/", headers=organizer.headers, json={"email": address, **fields})


def _accept(client: FlaskClient, token: str, **fields: Any) -> Any:
    return client.post(f"{API}/auth/invitations/accept", json={"token": token, "password": NEW_PASSWORD, **fields})


def test_an_invited_organizer_sets_a_name_and_password_and_can_log_in(
    client: FlaskClient, latest_token: LatestToken
) -> None:
    address = new_email()
    invited = _invite(client, make_organizer(client), address, role="organizer")
    assert invited.status_code == 201
    assert (invited.json["is_invited"], invited.json["role"]) == (True, "organizer")
    assert _log_in(client, address, NEW_PASSWORD) == 401

    accepted = _accept(client, latest_token(address), name="Grace Hopper")

    assert accepted.status_code == 200
    assert (accepted.json["name"], accepted.json["is_invited"]) == ("Grace Hopper", False)
    assert _log_in(client, address, NEW_PASSWORD) == 200


def test_inviting_an_address_again_replaces_the_first_invitation(
    client: FlaskClient, latest_token: LatestToken
) -> None:
    organizer, address = make_organizer(client), new_email()
    invited = _invite(client, organizer, address)
    first = latest_token(address)

    again = _invite(client, organizer, address.upper(), role="organizer")

    assert (again.status_code, again.json["id"], again.json["role"]) == (200, invited.json["id"], "organizer")
    assert _accept(client, first).json["code"] == "invalid-token"
    assert _accept(client, latest_token(address)).status_code == 200


def test_an_address_with_an_active_verified_account_cannot_be_invited(client: FlaskClient) -> None:
    member = verify_email(client, make_user(client))

    response = _invite(client, make_organizer(client), member.email)

    assert (response.status_code, response.json["code"]) == (409, "email-taken")


def test_requesting_a_reset_before_accepting_an_invitation_sends_a_new_invitation(
    client: FlaskClient, database: sa.Engine, mailbox: Mailbox, latest_token: LatestToken
) -> None:
    address = new_email()
    _invite(client, make_organizer(client), address, role="organizer")
    first = latest_token(address)
    with database.begin() as connection:
        connection.execute(sa.delete(OneTimeToken))  # as if it had expired long ago
    taken = client.post(f"{API}/auth/signup", json={"email": address, "password": PASSWORD})
    assert (taken.json["code"], _accept(client, first).json["code"]) == ("email-taken", "invalid-token")

    assert _request_reset(client, address.upper()).status_code == 202
    token = latest_token(address)

    assert {str(message["Subject"]) for message in mailbox.to(address)} == {"You are invited to Event Booking"}
    assert _reset(client, token).json["code"] == "invalid-token"
    accepted = _accept(client, token)
    assert (accepted.status_code, accepted.json["role"], accepted.json["is_invited"]) == (200, "organizer", False)
    assert _log_in(client, address, NEW_PASSWORD) == 200


def test_a_deactivated_invitee_cannot_accept_or_request_a_new_invitation(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox, latest_token: LatestToken
) -> None:
    organizer, address = make_organizer(client), new_email()
    invited = _invite(client, organizer, address)
    token = latest_token(address)

    client.delete(f"{API}/users/{invited.json['id']}", headers=organizer.headers)
    assert _request_reset(client, address).status_code == 202
    with app.app_context():
        tasks.drain()

    assert len(mailbox.to(address)) == 1
    assert _accept(client, token).json["code"] == "invalid-token"
    with database.connect() as connection:
        assert connection.scalars(sa.select(User.password_hash).where(User.email == address)).one() is None


def test_changing_the_password_voids_reset_tokens(client: FlaskClient, latest_token: LatestToken) -> None:
    user = make_user(client)
    _request_reset(client, user.email)
    token = latest_token(user.email)
    passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert client.post(f"{API}/users/me/password", headers=user.headers, json=passwords).status_code == 204

    assert _reset(client, token, "a third horse battery").json["code"] == "invalid-token"


def test_deactivating_an_account_voids_reset_tokens_for_good(client: FlaskClient, latest_token: LatestToken) -> None:
    organizer, user = make_organizer(client), make_user(client)
    _request_reset(client, user.email)
    token = latest_token(user.email)
    for is_active in (False, True):
        client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"is_active": is_active})

    assert _reset(client, token).json["code"] == "invalid-token"
