"""Answers that tell nobody who has an account: the service does the same for every address."""

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

Ask = Callable[[str], Any]


@pytest.fixture
def addresses(client: FlaskClient) -> dict[str, str]:
    """One of each: with an account, with one that was taken away, with an invitation, and with nothing."""
    organizer, gone, invited = make_organizer(client), make_user(client), new_email()
    client.delete(f"{API}/users/{gone.id}", headers=organizer.headers)
    client.post(f"{API}/users/", headers=organizer.headers, json={"email": invited})
    return {"active": make_user(client).email, "gone": gone.email, "invited": invited, "nobody": new_email()}


@pytest.fixture
def log_in(client: FlaskClient) -> Ask:
    return lambda email: client.post(f"{API}/auth/login", json={"email": email, "password": "wrong"})


@pytest.fixture
def ask_for_reset(client: FlaskClient) -> Ask:
    return lambda email: client.post(f"{API}/auth/password-reset", json={"email": email})


def _told(answer: Any) -> tuple[Any, ...]:
    # what differs from request to request
    varies = {"X-Request-ID", "RateLimit-Reset"}
    return answer.status_code, answer.data, sorted(item for item in answer.headers if item[0] not in varies)


@pytest.mark.parametrize("operation", ["log_in", "ask_for_reset"])
def test_every_address_gets_the_same_answer_for_the_same_work(
    app: Flask,
    addresses: dict[str, str],
    operation: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what is left is told of the account, not of the client, who gets nearer to the limit with each request
    monkeypatch.setitem(app.config, "PASSWORD_LIMIT", "2000000 per minute")
    ask: Ask = request.getfixturevalue(operation)
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SET LOCAL"):  # with which each transaction begins
            statements.append(statement)

    answers, work = [], []
    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        for address in addresses.values():
            answers.append(_told(ask(address)))
            work.append(tuple(statements))
            statements.clear()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)

    assert len(set(work)) == 1
    assert len(work[0]) == 1
    assert len({repr(answer) for answer in answers}) == 1


def test_a_password_is_hashed_for_every_address(
    addresses: dict[str, str], log_in: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    verify = PasswordHasher.verify

    def watched(hasher: Any, password_hash: str, password: str) -> Any:
        hashed.append(password_hash.rpartition("$")[0].rpartition("$")[0])  # algorithm and cost
        return verify(hasher, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    for address in addresses.values():
        assert log_in(address).status_code == 401

    assert len(hashed) == len(addresses)
    assert len(set(hashed)) == 1


@pytest.mark.usefixtures("app")
def test_the_first_login_of_a_process_hashes_no_more_for_an_address_without_an_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ARGON2_TIME_COST", "3")  # at which this process has hashed nothing yet
    client = create_app(Config.from_environment(NO_ENV_FILE)).test_client()
    hashed: list[str] = []
    monkeypatch.setattr(PasswordHasher, "hash", lambda hasher, password: hashed.append(password))

    answer = client.post(f"{API}/auth/login", json={"email": new_email(), "password": "wrong"})

    assert (answer.status_code, hashed) == (401, [])
