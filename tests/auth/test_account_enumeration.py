"""Logins and password resets never reveal whether an address has an account."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from bookings_api import create_app
from bookings_api.extensions import db
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.factories import API, make_organizer, make_user, new_email

Call = Callable[[str], Any]


@pytest.fixture
def addresses(client: FlaskClient) -> dict[str, str]:
    """One address per state: active, deactivated, invited, and unknown."""
    organizer, deactivated, invited = make_organizer(client), make_user(client), new_email()
    client.delete(f"{API}/users/{deactivated.id}", headers=organizer.headers)
    client.post(f"{API}/users/", headers=organizer.headers, json={"email": invited})
    return {
        "active": make_user(client).email,
        "deactivated": deactivated.email,
        "invited": invited,
        "unknown": new_email(),
    }


@pytest.fixture
def log_in(client: FlaskClient) -> Call:
    return lambda email: client.post(f"{API}/auth/login", json={"email": email, "password": "wrong"})


@pytest.fixture
def request_reset(client: FlaskClient) -> Call:
    return lambda email: client.post(f"{API}/auth/password-reset", json={"email": email})


def _comparable(response: Any) -> tuple[Any, ...]:
    varying = {"X-Request-ID", "RateLimit-Reset"}
    return response.status_code, response.data, sorted(item for item in response.headers if item[0] not in varying)


@pytest.mark.parametrize("operation", ["log_in", "request_reset"])
def test_every_address_gets_the_same_response_from_the_same_queries(
    app: Flask,
    addresses: dict[str, str],
    operation: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the rate limit headers must describe the account's limit; the client's shrinks with each request
    monkeypatch.setitem(app.config, "PASSWORD_LIMIT", "2000000 per minute")
    call: Call = request.getfixturevalue(operation)
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SET LOCAL"):  # every transaction begins with it
            statements.append(statement)

    responses, queries = [], []
    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        for address in addresses.values():
            responses.append(_comparable(call(address)))
            queries.append(tuple(statements))
            statements.clear()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)

    assert len(set(queries)) == 1
    assert len(queries[0]) == 1
    assert len({repr(response) for response in responses}) == 1


def test_every_failed_login_hashes_a_password_at_the_same_cost(
    addresses: dict[str, str], log_in: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[str] = []
    verify = PasswordHasher.verify

    def recorded(hasher: Any, password_hash: str, password: str) -> Any:
        costs.append(password_hash.rpartition("$")[0].rpartition("$")[0])  # algorithm and cost
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", recorded)
    for address in addresses.values():
        response = log_in(address)
        assert (response.status_code, response.json["code"]) == (401, "invalid-credentials")

    assert len(costs) == len(addresses)
    assert len(set(costs)) == 1


@pytest.mark.usefixtures("app")
def test_the_first_login_of_a_process_creates_no_hash_for_an_unknown_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARGON2_TIME_COST", "3")  # a cost that this process has not used before
    client = create_app(Config.from_environment(NO_ENV_FILE)).test_client()
    hashed: list[str] = []
    monkeypatch.setattr(PasswordHasher, "hash", lambda hasher, password: hashed.append(password))

    response = client.post(f"{API}/auth/login", json={"email": new_email(), "password": "wrong"})

    assert (response.status_code, hashed) == (401, [])
