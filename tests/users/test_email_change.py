"""Changing the email of an account: the new address confirms it, and the old one is told."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import EmailKind, OutboxEmail
from tests.factories import API, PASSWORD, Account, log_in, make_organizer, make_unverified, make_user, new_email
from tests.tokens import token_sent_to


def _request(client: FlaskClient, account: Account, email: str, **body: Any) -> Any:
    body = {"email": email, "current_password": PASSWORD} | body
    return client.patch(f"{API}/users/me", headers=account.headers, json=body)


def _confirm(client: FlaskClient, token: str) -> Any:
    return client.post(f"{API}/auth/verify-email", json={"token": token})


def _me(client: FlaskClient, account: Account) -> Any:
    return client.get(f"{API}/users/me", headers=account.headers)


def test_a_new_email_replaces_the_old_one_once_it_is_confirmed(client: FlaskClient, database: sa.Engine) -> None:
    user, new = make_unverified(client), new_email()

    requested = _request(client, user, new)
    assert (requested.status_code, requested.json["email"]) == (200, user.email)
    assert _confirm(client, token_sent_to(client, database, new)).status_code == 204

    changed = _me(client, user).json
    assert (changed["email"], changed["email_verified"]) == (new, True)
    assert changed["version"] == requested.json["version"] + 1
    logins = [
        client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD}).status_code
        for email in (user.email, new)
    ]
    assert logins == [401, 200]


def test_the_old_address_is_notified(client: FlaskClient, database: sa.Engine) -> None:
    user, new = make_user(client), new_email()

    _request(client, user, new)
    _confirm(client, token_sent_to(client, database, new))

    with database.connect() as connection:
        to_old = sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == user.email)
        assert connection.scalars(to_old).all() == [EmailKind.EMAIL_CHANGED]


def test_other_logins_end_when_the_new_email_is_confirmed(client: FlaskClient, database: sa.Engine) -> None:
    user, new = make_user(client), new_email()
    other = log_in(client, user)
    _request(client, user, new)
    assert _me(client, other).status_code == 200

    _confirm(client, token_sent_to(client, database, new))

    assert [_me(client, login).status_code for login in (user, other)] == [200, 401]


def test_tokens_sent_to_the_old_address_stop_working(client: FlaskClient, database: sa.Engine) -> None:
    user, new = make_user(client), new_email()
    client.post(f"{API}/auth/password-reset", json={"email": user.email})
    reset = {"token": token_sent_to(client, database, user.email), "password": "another horse battery"}
    _request(client, user, new)

    _confirm(client, token_sent_to(client, database, new))

    assert client.post(f"{API}/auth/password-reset/confirm", json=reset).json["code"] == "invalid-token"


def test_only_the_latest_requested_email_can_be_confirmed(client: FlaskClient, database: sa.Engine) -> None:
    user, first, second = make_user(client), new_email(), new_email()
    _request(client, user, first)
    token = token_sent_to(client, database, first)
    _request(client, log_in(client, user), second)

    assert _confirm(client, token).status_code == 422
    assert _confirm(client, token_sent_to(client, database, second)).status_code == 204


def test_a_new_password_revokes_a_pending_change_of_email(client: FlaskClient, database: sa.Engine) -> None:
    user, new = make_user(client), new_email()
    _request(client, user, new)
    token = token_sent_to(client, database, new)
    passwords = {"current_password": PASSWORD, "new_password": "another horse battery"}
    client.post(f"{API}/users/me/password", headers=user.headers, json=passwords)

    assert _confirm(client, token).status_code == 422


def test_a_taken_email_is_refused_like_at_signup(client: FlaskClient, database: sa.Engine) -> None:
    user, other, new = make_user(client), make_user(client), new_email()

    refused = _request(client, user, other.email.upper())
    _request(client, user, new)
    token = token_sent_to(client, database, new)
    make_unverified(client, new)
    too_late = _confirm(client, token)

    assert (refused.status_code, refused.json["code"]) == (409, "email-taken")
    assert (too_late.status_code, too_late.json["code"]) == (409, "email-taken")
    assert _me(client, user).json["email"] == user.email


@pytest.mark.parametrize(
    ("body", "code"),
    [({"current_password": "not the password"}, "wrong-password"), ({}, "invalid-input")],
    ids=["wrong", "missing"],
)
def test_a_new_email_requires_the_password(client: FlaskClient, body: dict[str, str], code: str) -> None:
    user = make_user(client)

    response = client.patch(f"{API}/users/me", headers=user.headers, json={"email": new_email(), **body})

    assert (response.status_code, response.json["code"]) == (422, code)
    assert [error["field"] for error in response.json["errors"]] == ["current_password"]


def test_a_wrong_password_counts_as_a_failed_login(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client.application.config, "LOGIN_FAILURE_LIMIT", "2 per hour")
    user = make_user(client)

    attempts = [_request(client, user, new_email(), current_password="not the password") for _ in range(3)]

    assert [attempt.status_code for attempt in attempts] == [422, 422, 429]
    assert client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD}).status_code == 429
    assert client.patch(f"{API}/users/me", headers=user.headers, json={"name": "Ada King"}).status_code == 200


def test_accounts_together_cannot_flood_a_mailbox(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client.application.config, "MAILBOX_LIMIT", "2 per hour")
    box, domain = new_email().split("@")

    requested = [_request(client, make_user(client), f"{box}+{number}@{domain}").status_code for number in range(3)]

    assert requested == [200, 200, 429]


def test_an_organizer_keeps_their_rights_at_the_new_email(client: FlaskClient, database: sa.Engine) -> None:
    organizer, new = make_organizer(client), new_email()
    _request(client, organizer, new)

    _confirm(client, token_sent_to(client, database, new))

    people = client.get(f"{API}/users/", headers=organizer.headers).json
    assert [(person["email"], person["role"]) for person in people] == [(new, "organizer")]
