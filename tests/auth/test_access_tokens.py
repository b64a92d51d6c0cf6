"""Access tokens: how clients get them and which ones the API accepts."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.models import User
from tests.factories import API, PASSWORD, Account, make_user, new_email
from tests.polling import wait_until
from tests.sql import WAITING_SESSIONS


def _request_with(client: FlaskClient, authorization: str | None) -> Any:
    """Response to a request that needs a login, sent with this `Authorization` header."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return client.get(f"{API}/bookings/", headers=headers)


def test_logging_in_returns_a_bearer_token(client: FlaskClient) -> None:
    user = make_user(client)

    response = client.post(f"{API}/auth/login", json={"email": user.email.upper(), "password": PASSWORD})

    assert response.status_code == 200
    assert (response.json["token_type"], response.json["expires_in"]) == ("bearer", 900)
    assert response.headers["Cache-Control"] == "no-store"
    assert _request_with(client, f"Bearer {response.json['access_token']}").status_code == 200


def test_an_access_token_has_the_standard_claims_and_lives_15_minutes(client: FlaskClient) -> None:
    token = make_user(client).token

    claims = jwt.decode(token, options={"verify_signature": False})

    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    assert claims.keys() >= {"exp", "iat", "jti", "sid", "type", "iss", "aud", "sub"}
    assert claims["exp"] - claims["iat"] == 900


def test_the_bearer_scheme_is_case_insensitive(client: FlaskClient) -> None:
    token = make_user(client).token

    assert _request_with(client, f"bearer {token}").status_code == 200


def test_the_oauth2_form_returns_a_working_token(client: FlaskClient) -> None:
    user = make_user(client)
    form = {"grant_type": "password", "username": user.email, "password": PASSWORD, "scope": "", "client_id": ""}

    # Swagger UI sends an empty Basic header as well
    response = client.post(f"{API}/auth/token", data=form, headers={"Authorization": "Basic Og=="})

    assert response.status_code == 200
    assert _request_with(client, f"Bearer {response.json['access_token']}").status_code == 200


def test_the_oauth2_form_reports_a_wrong_password_as_invalid_grant(client: FlaskClient) -> None:
    response = client.post(f"{API}/auth/token", data={"username": make_user(client).email, "password": "wrong"})

    assert (response.status_code, response.json["code"]) == (400, "invalid-credentials")
    assert response.json["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("field", "value"), [("grant_type", "client_credentials"), ("username", "x"), ("password", "")]
)
def test_an_invalid_field_of_the_oauth2_form_is_named(client: FlaskClient, field: str, value: str) -> None:
    form = {"username": new_email(), "password": PASSWORD, field: value}

    response = client.post(f"{API}/auth/token", data=form)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


def _forge(app: Flask, user: Account, *, secret: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
    """Like the user's token, except for `claims`: None omits a claim, a timedelta is relative to now."""
    original = jwt.decode(user.token, options={"verify_signature": False})
    payload = {
        name: datetime.now(UTC) + value if isinstance(value, timedelta) else value
        for name, value in (original | claims).items()
        if value is not None
    }
    return jwt.encode(payload, app.config["SECRET_KEY"] if secret is None else secret, algorithm=algorithm)


def test_a_forged_token_without_changes_is_accepted(app: Flask, client: FlaskClient) -> None:
    assert _request_with(client, f"Bearer {_forge(app, make_user(client))}").status_code == 200


@pytest.mark.parametrize("changes", [{"iat": timedelta(seconds=5)}, {"nbf": timedelta(seconds=5)}], ids=str)
def test_a_token_from_a_clock_slightly_ahead_is_accepted(
    app: Flask, client: FlaskClient, changes: dict[str, Any]
) -> None:
    assert _request_with(client, f"Bearer {_forge(app, make_user(client), **changes)}").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"type": "refresh"},
        {"type": None},
        {"iss": "another service"},
        {"aud": "another service"},
        {"aud": None},
        {"sub": "not an id"},
        {"sid": "00000000-0000-0000-0000-000000000000"},
        {"sid": "not an id"},
        {"sid": None},
        {"sid": 5},
        {"jti": "not an id"},
        {"sub": None},
        {"nbf": datetime(2199, 1, 1, tzinfo=UTC)},
        {"nbf": timedelta(hours=1)},
        {"iat": timedelta(hours=1)},
        {"exp": timedelta(minutes=-1)},
        {"secret": "another secret that is long enough"},
        {"secret": "", "algorithm": "none"},
        {"algorithm": "HS512"},
    ],
    ids=str,
)
def test_a_forged_token_is_refused(app: Flask, client: FlaskClient, changes: dict[str, Any]) -> None:
    response = _request_with(client, f"Bearer {_forge(app, make_user(client), **changes)}")

    assert (response.status_code, response.json["code"]) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_is_refused_once_it_expires(client: FlaskClient, app: Flask) -> None:
    user = make_user(client)
    authorization = f"Bearer {_forge(app, user, exp=time.time() + 1.2)}"
    assert _request_with(client, authorization).status_code == 200

    time.sleep(1.3)
    refused = _request_with(client, authorization)
    assert (refused.status_code, refused.json["detail"]) == (401, "The access token has expired.")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        ",",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer é.é.é",
        "Basic Og==",
        "Token x",
        "Bearer " * 9,
    ],
)
def test_an_authorization_header_without_a_token_is_refused(client: FlaskClient, authorization: str | None) -> None:
    assert _request_with(client, authorization).status_code == 401


def test_a_deactivated_account_loses_access_immediately_and_cannot_log_in(
    client: FlaskClient, database: sa.Engine
) -> None:
    user = make_user(client)
    with database.begin() as connection:
        connection.execute(sa.update(User).values(is_active=False))

    assert _request_with(client, user.headers["Authorization"]).status_code == 401
    login = client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD})
    assert login.json["code"] == "invalid-credentials"


def _log_in(client: FlaskClient, user: Account, password: str = PASSWORD) -> int:
    return client.post(f"{API}/auth/login", json={"email": user.email, "password": password}).status_code


def _hash_of(database: sa.Engine, user: Account) -> str:
    with database.connect() as connection:
        return str(connection.scalar(sa.select(User.password_hash).where(User.id == user.id)))


def test_a_hash_of_another_cost_is_renewed_at_the_next_login(
    app: Flask, client: FlaskClient, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user(client)
    before = _hash_of(database, user)
    monkeypatch.setitem(app.config, "ARGON2_TIME_COST", 2)

    assert (_log_in(client, user, "wrong"), _hash_of(database, user)) == (401, before)
    assert _log_in(client, user) == 200
    renewed = _hash_of(database, user)

    assert ("t=1" in before, "t=2" in renewed) == (True, True)
    assert (_log_in(client, user), _hash_of(database, user)) == (200, renewed)
    assert _request_with(client, user.headers["Authorization"]).status_code == 200


def test_two_concurrent_logins_that_renew_a_hash_both_succeed(
    app: Flask, client: FlaskClient, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user(client)
    monkeypatch.setitem(app.config, "ARGON2_TIME_COST", 2)
    autocommit = database.execution_options(isolation_level="AUTOCOMMIT")  # a transaction sees only a snapshot
    with autocommit.connect() as observer, database.connect() as blocker, ThreadPoolExecutor(2) as pool:
        blocker.execute(sa.select(User.id).with_for_update())
        logins = [pool.submit(_log_in, app.test_client(), user) for _ in range(2)]
        try:
            wait_until(lambda: observer.scalar(WAITING_SESSIONS) == 2, seconds=4)
        finally:
            blocker.rollback()

        assert [login.result() for login in logins] == [200, 200]
