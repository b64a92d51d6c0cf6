"""Verified email addresses: an emailed token proves that an account's address belongs to its owner."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import EmailKind, EmailStatus, OneTimeToken, OutboxEmail
from tests.factories import (
    API,
    PASSWORD,
    Account,
    book,
    make_event,
    make_organizer,
    make_unverified,
    make_user,
    new_email,
)
from tests.tokens import token_sent_to

NEW_PASSWORD = "another horse battery"


def is_verified(client: FlaskClient, account: Account) -> bool:
    verified: bool = client.get(f"{API}/users/me", headers=account.headers).json["email_verified"]
    return verified


def _verify(client: FlaskClient, token: str) -> int:
    return client.post(f"{API}/auth/verify-email", json={"token": token}).status_code


def _resend(client: FlaskClient, account: Account) -> int:
    return client.post(f"{API}/auth/verify-email/resend", headers=account.headers).status_code


def _kinds_sent_to(database: sa.Engine, address: str) -> list[str]:
    with database.connect() as connection:
        kinds = sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == address).order_by(OutboxEmail.id)
        return [*connection.scalars(kinds)]


def test_signing_up_emails_a_token_that_verifies_the_address_once(client: FlaskClient, database: sa.Engine) -> None:
    account = make_unverified(client)
    assert not is_verified(client, account)
    token = token_sent_to(client, database, account.email)

    assert [_verify(client, token), _verify(client, token)] == [204, 422]

    assert is_verified(client, account)
    assert _kinds_sent_to(database, account.email) == [EmailKind.EMAIL_VERIFICATION]


def test_verifying_changes_the_etag_of_the_account(client: FlaskClient, database: sa.Engine) -> None:
    account = make_unverified(client)
    before = client.get(f"{API}/users/me", headers=account.headers)

    _verify(client, token_sent_to(client, database, account.email))

    after = client.get(f"{API}/users/me", headers={**account.headers, "If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200


def test_an_expired_token_does_not_verify(client: FlaskClient, database: sa.Engine) -> None:
    account = make_unverified(client)
    token = token_sent_to(client, database, account.email)
    with database.begin() as connection:
        connection.execute(sa.update(OneTimeToken).values(expires_at=sa.func.now()))

    assert _verify(client, token) == 422
    assert not is_verified(client, account)


def test_a_token_that_is_sent_again_replaces_the_first(client: FlaskClient, database: sa.Engine) -> None:
    account = make_unverified(client)
    first = token_sent_to(client, database, account.email)

    assert _resend(client, account) == 202

    assert _verify(client, first) == 422
    assert _verify(client, token_sent_to(client, database, account.email)) == 204


def test_a_verified_account_gets_no_further_token(client: FlaskClient, database: sa.Engine) -> None:
    account = make_user(client)

    assert _resend(client, account) == 202

    assert _kinds_sent_to(database, account.email) == []


def test_an_account_can_request_three_verifications_per_hour(client: FlaskClient) -> None:
    account = make_unverified(client)
    assert [_resend(client, account) for _ in range(4)] == [202, 202, 202, 429]


def test_accounts_of_one_mailbox_share_the_limit_on_verifications(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client.application.config, "MAILBOX_LIMIT", "3 per hour")
    box, domain = new_email().split("@")

    def sign_up(suffix: str) -> int:
        account = {"email": f"{box}{suffix}@{domain}", "password": PASSWORD}
        return client.post(f"{API}/auth/signup", json=account).status_code

    assert [sign_up(f"+{number}") for number in range(4)] == [201, 201, 201, 429]
    assert sign_up("") == 201


def test_a_password_reset_verifies_the_address(client: FlaskClient, database: sa.Engine) -> None:
    account = make_unverified(client)
    verification = token_sent_to(client, database, account.email)
    client.post(f"{API}/auth/password-reset", json={"email": account.email})
    reset = {"token": token_sent_to(client, database, account.email), "password": NEW_PASSWORD}

    assert client.post(f"{API}/auth/password-reset/confirm", json=reset).status_code == 204

    login = client.post(f"{API}/auth/login", json={"email": account.email, "password": NEW_PASSWORD}).json
    assert is_verified(client, Account(account.id, account.email, login["access_token"], ""))
    assert _verify(client, verification) == 422


@pytest.mark.parametrize("is_required", [False, True])
def test_booking_requires_a_verified_address_only_if_the_operator_says_so(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, *, is_required: bool
) -> None:
    monkeypatch.setitem(client.application.config, "BOOKING_REQUIRES_VERIFIED_EMAIL", is_required)
    event = make_event(client)

    assert book(client, make_user(client), event).status_code == 201
    response = book(client, make_unverified(client), event)

    assert response.status_code == (403 if is_required else 201)
    assert response.json.get("code") == ("email-not-verified" if is_required else None)


def test_an_unverified_account_cannot_be_promoted(client: FlaskClient) -> None:
    account = make_unverified(client)
    url, headers = f"{API}/users/{account.id}", make_organizer(client).headers

    refused = client.patch(url, headers=headers, json={"role": "organizer"})

    assert (refused.status_code, refused.json["code"]) == (409, "email-not-verified")
    assert client.get(url, headers=headers).json["role"] == "user"


def test_a_waiting_email_is_dropped_once_a_later_token_replaces_its_own(
    client: FlaskClient, database: sa.Engine
) -> None:
    account = make_unverified(client)
    _resend(client, account)

    token_sent_to(client, database, account.email)

    with database.connect() as connection:
        emails = sa.select(OutboxEmail.status).where(OutboxEmail.recipient == account.email).order_by(OutboxEmail.id)
        assert connection.scalars(emails).all() == [EmailStatus.DROPPED, EmailStatus.SENT]
