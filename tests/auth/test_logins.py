"""Logins: refresh tokens work once, and revoking a login takes effect at the next request."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Login
from tests.factories import API, PASSWORD, Account, log_in, make_organizer, make_user, new_email

OTHER_PASSWORD = "another horse battery"


def _refresh(client: FlaskClient, token: str) -> Any:
    return client.post(f"{API}/auth/refresh", headers={"Authorization": f"Bearer {token}"})


def _is_logged_in(client: FlaskClient, account: Account) -> bool:
    response = client.get(f"{API}/users/me", headers=account.headers)
    assert response.status_code in {200, 401}
    return response.status_code == 200


def test_a_refresh_token_returns_a_new_working_pair(client: FlaskClient) -> None:
    user = make_user(client)

    response = _refresh(client, user.refresh_token)

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    fresh = Account(user.id, user.email, response.json["access_token"], response.json["refresh_token"])
    assert fresh.refresh_token != user.refresh_token
    assert _is_logged_in(client, fresh)
    assert _refresh(client, fresh.refresh_token).status_code == 200


def test_reusing_a_refresh_token_ends_the_login(client: FlaskClient) -> None:
    user = make_user(client)
    fresh = _refresh(client, user.refresh_token).json

    assert _refresh(client, user.refresh_token).status_code == 401

    assert _refresh(client, fresh["refresh_token"]).status_code == 401
    assert not _is_logged_in(client, user)


def test_reusing_a_refresh_token_does_not_affect_other_logins(client: FlaskClient) -> None:
    user = make_user(client)
    other = log_in(client, user)
    _refresh(client, user.refresh_token)
    _refresh(client, user.refresh_token)

    assert _is_logged_in(client, other)


def test_access_and_refresh_tokens_are_not_interchangeable(client: FlaskClient) -> None:
    user = make_user(client)

    assert _refresh(client, user.token).status_code == 401
    assert client.get(f"{API}/users/me", headers={"Authorization": f"Bearer {user.refresh_token}"}).status_code == 401


def test_logging_out_ends_only_this_login(client: FlaskClient) -> None:
    user = make_user(client)
    other = log_in(client, user)

    assert client.post(f"{API}/auth/logout", headers=user.headers).status_code == 204

    assert not _is_logged_in(client, user)
    assert _refresh(client, user.refresh_token).status_code == 401
    assert _is_logged_in(client, other)


def test_changing_the_password_ends_every_other_login(client: FlaskClient) -> None:
    user = make_user(client)
    other = log_in(client, user)
    passwords = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}

    assert client.post(f"{API}/users/me/password", headers=user.headers, json=passwords).status_code == 204

    assert _is_logged_in(client, user)
    assert not _is_logged_in(client, other)
    assert client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD}).status_code == 401
    assert client.post(f"{API}/auth/login", json={"email": user.email, "password": OTHER_PASSWORD}).status_code == 200


def test_changing_the_password_requires_the_current_one(client: FlaskClient) -> None:
    user = make_user(client)
    passwords = {"current_password": "not the password", "new_password": OTHER_PASSWORD}

    response = client.post(f"{API}/users/me/password", headers=user.headers, json=passwords)

    assert (response.status_code, response.json["code"]) == (422, "wrong-password")
    assert [error["field"] for error in response.json["errors"]] == ["current_password"]
    assert _is_logged_in(client, user)


@pytest.mark.parametrize("password", ["qwertyuiop", "PASSWORD123", "1234567890"])
def test_a_common_password_is_refused_at_signup_and_change(client: FlaskClient, password: str) -> None:
    user = make_user(client)
    passwords = {"current_password": PASSWORD, "new_password": password}

    changed = client.post(f"{API}/users/me/password", headers=user.headers, json=passwords)
    signed_up = client.post(f"{API}/auth/signup", json={"email": "new@example.com", "password": password})

    for response, field in ((changed, "new_password"), (signed_up, "password")):
        assert response.status_code == 422
        assert [error["field"] for error in response.json["errors"]] == [field]


@pytest.mark.parametrize(
    "act",
    [
        lambda client, actor, user: client.delete(f"{API}/users/{user.id}", headers=actor.headers),
        lambda client, actor, user: client.patch(
            f"{API}/users/{user.id}", headers=actor.headers, json={"is_active": False}
        ),
        lambda client, actor, user: client.patch(
            f"{API}/users/{user.id}", headers=actor.headers, json={"role": "user"}
        ),
    ],
    ids=["deleted", "deactivated", "demoted"],
)
def test_losing_a_role_or_access_ends_every_login_immediately(
    client: FlaskClient, act: Callable[[FlaskClient, Account, Account], Any]
) -> None:
    actor, user = make_organizer(client), make_organizer(client)

    assert act(client, actor, user).status_code in {200, 204}

    assert not _is_logged_in(client, user)
    assert _refresh(client, user.refresh_token).status_code == 401


def test_the_database_stores_no_token(client: FlaskClient, database: sa.Engine) -> None:
    user = make_user(client)

    with database.connect() as connection:
        rows = str(connection.execute(sa.select(Login)).all())

    assert user.token not in rows
    assert user.refresh_token not in rows


def test_whitespace_copied_with_an_email_is_ignored(client: FlaskClient) -> None:
    credentials = {"email": f"\t {new_email()}\r\n", "password": PASSWORD}

    assert client.post(f"{API}/auth/signup", json=credentials).status_code == 201
    assert client.post(f"{API}/auth/login", json=credentials).status_code == 200
