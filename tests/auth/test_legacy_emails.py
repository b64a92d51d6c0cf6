"""Accounts of the original system, with emails that a new account cannot have."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import tasks
from bookings_api.models import EmailStatus, OutboxEmail, User
from tests.factories import API, PASSWORD, Account, make_user
from tests.mailbox import Mailbox

ENCODED, DECODED = "legacy@xn--mller-kva.de", "legacy@müller.de"
DELIVERABLE = ["legacy@corp.local", "legacy@localhost", "legacy..dots@docomo.ne.jp", DECODED]
NOT_ASCII = "josé.legacy@example.com"


@pytest.fixture
def store(client: FlaskClient, database: sa.Engine) -> Callable[[str], Account]:
    """Store an account with this email."""

    def create(email: str) -> Account:
        account = make_user(client)
        with database.begin() as connection:
            connection.execute(sa.update(User).where(User.id == account.id).values(email=email))
        return account

    return create


def _log_in(client: FlaskClient, email: str, password: str = PASSWORD) -> int:
    return client.post(f"{API}/auth/login", json={"email": email, "password": password}).status_code


def _request_reset(app: Flask, client: FlaskClient, email: str) -> int:
    status = client.post(f"{API}/auth/password-reset", json={"email": email}).status_code
    with app.app_context():
        tasks.drain()
    return status


@pytest.mark.parametrize("email", [*DELIVERABLE, NOT_ASCII])
def test_a_stored_email_can_log_in_but_not_sign_up_again(
    client: FlaskClient, store: Callable[[str], Account], email: str
) -> None:
    store(email)

    form = {"username": email, "password": PASSWORD}
    assert _log_in(client, email) == 200
    assert _log_in(client, email.upper()) == 200
    assert _log_in(client, email, "wrong password") == 401
    assert client.post(f"{API}/auth/token", data=form).status_code == 200
    assert client.post(f"{API}/auth/signup", json={"email": email, "password": PASSWORD}).status_code in {409, 422}


@pytest.mark.parametrize("email", DELIVERABLE)
def test_a_stored_email_receives_password_resets(
    app: Flask, client: FlaskClient, store: Callable[[str], Account], mailbox: Mailbox, email: str
) -> None:
    store(email)

    assert _request_reset(app, client, email) == 202
    assert len(mailbox.wait_for(email.replace("müller", "xn--mller-kva"))) == 1


def test_an_email_that_the_server_cannot_express_fails_without_further_attempts(
    app: Flask, client: FlaskClient, store: Callable[[str], Account], database: sa.Engine
) -> None:
    store(NOT_ASCII)

    assert _request_reset(app, client, NOT_ASCII) == 202
    with database.connect() as connection:
        sent = connection.execute(sa.select(OutboxEmail.status, OutboxEmail.attempts, OutboxEmail.last_error)).one()
    assert sent == (
        EmailStatus.FAILED,
        1,
        "The mail server accepts only ASCII addresses (no SMTPUTF8).",
    )


@pytest.mark.parametrize("stored", [ENCODED, DECODED])
@pytest.mark.parametrize("typed", [ENCODED, DECODED])
def test_a_domain_matches_in_both_forms(
    client: FlaskClient, store: Callable[[str], Account], stored: str, typed: str
) -> None:
    store(stored)

    assert _log_in(client, typed) == 200
    assert client.post(f"{API}/auth/signup", json={"email": typed, "password": PASSWORD}).json["code"] == "email-taken"


def test_an_exactly_matching_domain_takes_precedence(client: FlaskClient, store: Callable[[str], Account]) -> None:
    accounts = {email: store(email) for email in (ENCODED, DECODED)}

    for email, account in accounts.items():
        login = client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD}).json
        me = client.get(f"{API}/users/me", headers={"Authorization": f"Bearer {login['access_token']}"})
        assert me.json["id"] == account.id


def test_both_forms_of_a_domain_share_one_limit_of_wrong_passwords(
    client: FlaskClient, store: Callable[[str], Account]
) -> None:
    store(DECODED)

    assert [_log_in(client, email, "wrong") for email in [ENCODED, DECODED] * 6] == [401] * 10 + [429] * 2


def test_a_turkish_capital_i_does_not_spell_the_same_email(
    client: FlaskClient, store: Callable[[str], Account]
) -> None:
    store("victim@example.org")

    assert _log_in(client, "v\u0130ctim@example.org") == 401


@pytest.mark.parametrize("email", ["nobody", "", "a\x00@example.com", "a@" + "b" * 255, 5, None])
def test_text_that_is_not_an_email_is_refused_at_login(client: FlaskClient, email: object) -> None:
    response = client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD})

    assert response.status_code == 422


@pytest.mark.parametrize("email", ["admin@corp.local", "root@localhost", "Root@LOCALHOST"])
def test_new_accounts_can_use_configured_intranet_domains(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    signup = {"email": email, "password": PASSWORD}
    assert client.post(f"{API}/auth/signup", json=signup).status_code == 422

    monkeypatch.setitem(app.config, "EMAIL_INTRANET_DOMAINS", ["corp.local", "localhost"])

    created = client.post(f"{API}/auth/signup", json=signup)
    assert created.status_code == 201
    local, _, domain = email.partition("@")
    assert created.json["email"] == f"{local}@{domain.lower()}"
    assert client.post(f"{API}/auth/signup", json=signup | {"email": "two..dots@localhost"}).status_code == 422


def test_the_audit_notes_emails_that_would_be_rejected_today(
    app: Flask, store: Callable[[str], Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    def audit() -> list[str]:
        return app.test_cli_runner().invoke(args=["audit"]).output.splitlines()

    store(ENCODED)
    assert audit() == ["No violations."]

    unusual = {email: store(email).id for email in [*DELIVERABLE, NOT_ASCII]}
    ids = ", ".join(sorted(unusual.values()))
    assert audit()[0] == f"note: accounts with an email that would be rejected today: 5; the first are {ids}"

    monkeypatch.setitem(app.config, "EMAIL_INTRANET_DOMAINS", ["corp.local", "localhost"])
    assert "rejected today: 3;" in audit()[0]
