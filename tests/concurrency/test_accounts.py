"""Simultaneous operations on one account, sent to the running service."""

from collections.abc import Mapping

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.accounts.one_time_tokens import token_of
from bookings_api.models import EmailStatus, OneTimeToken, OutboxEmail
from tests.concurrency.harness import count_of, race
from tests.factories import PASSWORD, make_organizer, make_user, new_email
from tests.http_client import http_client
from tests.polling import wait_until
from tests.service import Service

pytestmark = pytest.mark.usefixtures("audited")

NEW_PASSWORD = "another horse battery"


def _token(app: Flask, database: sa.Engine) -> str:
    """The only existing token. The worker creates reset tokens."""
    wait_until(lambda: count_of(database, OneTimeToken) == 1, seconds=20)
    with database.connect() as connection:
        token_id = connection.scalars(sa.select(OneTimeToken.id)).one()
    with app.app_context():
        return token_of(token_id)


def _unsent(database: sa.Engine) -> int:
    with database.connect() as connection:
        return connection.scalars(sa.select(sa.func.count()).where(OutboxEmail.status != EmailStatus.SENT)).one()


def test_many_requests_for_a_password_reset_leave_one_token(
    client: FlaskClient, database: sa.Engine, service: Service
) -> None:
    user = make_user(client)
    with http_client(service.api) as http:
        outcomes = race(
            lambda _: str(http.post("/auth/password-reset", json={"email": user.email}).status_code), clients=10
        )

    assert outcomes == {"202": 10}
    assert count_of(database, OutboxEmail) == 10
    wait_until(lambda: _unsent(database) == 0, seconds=20)
    assert count_of(database, OutboxEmail) == 10
    assert count_of(database, OneTimeToken) == 1


def _reset_and_log_in_at_once(http: httpx.Client, email: str, token: str) -> tuple[Mapping[str, int], list[str]]:
    """Send one reset and five logins with the old password at once. Returns the outcomes and the issued tokens."""
    logins: list[str] = []

    def act(number: int) -> str:
        if number == 0:
            reset = {"token": token, "password": NEW_PASSWORD}
            return f"reset {http.post('/auth/password-reset/confirm', json=reset).status_code}"
        response = http.post("/auth/login", json={"email": email, "password": PASSWORD})
        if response.status_code == httpx.codes.OK:
            logins.append(response.json()["access_token"])
        return f"login {response.status_code}"

    return race(act, clients=6), logins


def test_a_login_with_the_old_password_does_not_survive_a_simultaneous_reset(
    app: Flask, client: FlaskClient, database: sa.Engine, service: Service
) -> None:
    with http_client(service.api) as http:
        for _ in range(5):
            user = make_user(client)
            http.post("/auth/password-reset", json={"email": user.email})

            outcomes, logins = _reset_and_log_in_at_once(http, user.email, _token(app, database))

            assert outcomes["reset 204"] == 1
            assert outcomes["login 200"] + outcomes["login 401"] == 5
            for token in logins:
                assert http.get("/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def _accept_and_invite_at_once(
    http: httpx.Client, headers: dict[str, str], email: str, token: str
) -> Mapping[str, int]:
    """Accept an invitation and, at the same time, send it again with another role."""

    def act(number: int) -> str:
        if number == 0:
            acceptance = {"token": token, "password": NEW_PASSWORD}
            return f"accept {http.post('/auth/invitations/accept', json=acceptance).status_code}"
        return f"invite {http.post('/users/', headers=headers, json={'email': email, 'role': 'user'}).status_code}"

    return race(act, clients=2)


def test_an_invitation_is_either_accepted_or_sent_again_but_not_both(
    app: Flask, client: FlaskClient, database: sa.Engine, service: Service
) -> None:
    headers = dict(make_organizer(client).headers)
    with http_client(service.api) as http:
        for _ in range(8):
            address = new_email()
            http.post("/users/", headers=headers, json={"email": address, "role": "organizer"})

            outcomes = _accept_and_invite_at_once(http, headers, address, _token(app, database))

            users = http.get("/users/", headers=headers, params={"q": address}).json()
            accepted = outcomes == {"accept 200": 1, "invite 409": 1}
            assert accepted or outcomes == {"accept 422": 1, "invite 200": 1}
            assert (users[0]["is_invited"], users[0]["role"]) == (not accepted, "organizer" if accepted else "user")
            with database.begin() as connection:
                connection.execute(sa.delete(OneTimeToken))
