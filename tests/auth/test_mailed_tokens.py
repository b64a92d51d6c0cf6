"""Password resets and invitations: tokens that come by mail and work once."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import tasks
from bookings_api.models import OneTimeToken, OutboxEmail, User
from tests.factories import API, PASSWORD, Account, log_in, make_organizer, make_user, new_email
from tests.mailbox import Mailbox, part

NEW_PASSWORD = "another horse battery"


def _token_mailed_to(app: Flask, mailbox: Mailbox, address: str, *, count: int = 1) -> str:
    """The token of the latest mail to `address`, which is sent here and now."""
    before = {str(mail["Message-ID"]) for mail in mailbox.to(address)}
    with app.app_context():
        tasks.drain()
    (mail,) = [mail for mail in mailbox.wait_for(address, count=count) if str(mail["Message-ID"]) not in before]
    found = re.search(r"^  ([\w-]{43})$", part(mail, "plain"), re.MULTILINE)
    assert found
    return found[1]


def _ask_for_reset(client: FlaskClient, address: str) -> Any:
    return client.post(f"{API}/auth/password-reset", json={"email": address})


def _reset(client: FlaskClient, token: str, password: str = NEW_PASSWORD) -> Any:
    return client.post(f"{API}/auth/password-reset/confirm", json={"token": token, "password": password})


def _log_in(client: FlaskClient, address: str, password: str) -> int:
    return client.post(f"{API}/auth/login", json={"email": address, "password": password}).status_code


def test_a_forgotten_password_is_set_anew_with_the_mailed_token(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    user = make_user(client)
    assert _ask_for_reset(client, user.email.upper()).status_code == 202
    token = _token_mailed_to(app, mailbox, user.email)

    assert _reset(client, token).status_code == 204

    assert (_log_in(client, user.email, PASSWORD), _log_in(client, user.email, NEW_PASSWORD)) == (401, 200)
    assert client.get(f"{API}/users/me", headers=user.headers).status_code == 401


def test_a_token_works_once_and_only_the_latest_does(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    user = make_user(client)
    _ask_for_reset(client, user.email)
    first = _token_mailed_to(app, mailbox, user.email)
    _ask_for_reset(client, user.email)
    second = _token_mailed_to(app, mailbox, user.email, count=2)

    assert _reset(client, first).json["code"] == "invalid-token"
    assert _reset(client, second).status_code == 204
    assert _reset(client, second).json["code"] == "invalid-token"


def test_an_address_without_an_account_gets_the_same_answer_and_no_mail(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    user, nobody = make_user(client), new_email()

    known, unknown = _ask_for_reset(client, user.email), _ask_for_reset(client, nobody)

    assert (known.status_code, known.data) == (unknown.status_code, unknown.data)
    _token_mailed_to(app, mailbox, user.email)
    assert mailbox.to(nobody) == []
    with database.connect() as connection:
        assert connection.scalars(sa.select(OutboxEmail.recipient)).all() == [user.email]


def test_an_expired_token_and_one_of_another_purpose_are_none(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    user = make_user(client)
    _ask_for_reset(client, user.email)
    token = _token_mailed_to(app, mailbox, user.email)

    accepted = client.post(f"{API}/auth/invitations/accept", json={"token": token, "password": NEW_PASSWORD})
    assert accepted.json["code"] == "invalid-token"
    with database.begin() as connection:
        connection.execute(sa.update(OneTimeToken).values(expires_at=sa.func.now()))
    assert _reset(client, token).json["code"] == "invalid-token"


def test_neither_the_outbox_nor_the_tokens_table_holds_a_token(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    user = make_user(client)
    _ask_for_reset(client, user.email)
    token = _token_mailed_to(app, mailbox, user.email)

    with database.connect() as connection:
        rows = [connection.execute(sa.select(model)).all() for model in (OutboxEmail, OneTimeToken)]

    assert token not in str(rows)


@pytest.mark.parametrize("token", ["x", "a" * 43, "é", "' OR 1=1 --"])
def test_a_token_that_is_none_is_told_as_a_bad_field(client: FlaskClient, token: str) -> None:
    response = _reset(client, token)

    assert (response.status_code, response.json["code"]) == (422, "invalid-token")
    assert [error["field"] for error in response.json["errors"]] == ["token"]


def _invite(client: FlaskClient, organizer: Account, address: str, **fields: Any) -> Any:
    return client.post(f"{API}/users/", headers=organizer.headers, json={"email": address, **fields})


def _accept(client: FlaskClient, token: str, **fields: Any) -> Any:
    return client.post(f"{API}/auth/invitations/accept", json={"token": token, "password": NEW_PASSWORD, **fields})


def test_an_invited_organizer_sets_name_and_password_and_is_in(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    address = new_email()
    invited = _invite(client, make_organizer(client), address, role="organizer")
    assert invited.status_code == 201
    assert (invited.json["is_invited"], invited.json["role"]) == (True, "organizer")
    assert _log_in(client, address, NEW_PASSWORD) == 401

    accepted = _accept(client, _token_mailed_to(app, mailbox, address), name="Grace Hopper")

    assert accepted.status_code == 200
    assert (accepted.json["name"], accepted.json["is_invited"]) == ("Grace Hopper", False)
    assert _log_in(client, address, NEW_PASSWORD) == 200


def test_an_invitation_may_be_sent_again_which_voids_the_first(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    organizer, address = make_organizer(client), new_email()
    invited = _invite(client, organizer, address)
    first = _token_mailed_to(app, mailbox, address)

    again = _invite(client, organizer, address.upper(), role="organizer")

    assert (again.status_code, again.json["id"], again.json["role"]) == (200, invited.json["id"], "organizer")
    assert _accept(client, first).json["code"] == "invalid-token"
    assert _accept(client, _token_mailed_to(app, mailbox, address, count=2)).status_code == 200


def test_an_address_with_an_account_in_use_is_not_invited(client: FlaskClient) -> None:
    response = _invite(client, make_organizer(client), make_user(client).email)

    assert (response.status_code, response.json["code"]) == (409, "email-taken")


def test_a_reset_asked_for_before_an_invitation_is_accepted_mails_a_new_one_however_old_it_is(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    address = new_email()
    _invite(client, make_organizer(client), address, role="organizer")
    first = _token_mailed_to(app, mailbox, address)
    with database.begin() as connection:
        connection.execute(sa.delete(OneTimeToken))  # as when it has expired
    taken = client.post(f"{API}/auth/signup", json={"email": address, "password": PASSWORD})
    assert (taken.json["code"], _accept(client, first).json["code"]) == ("email-taken", "invalid-token")

    assert _ask_for_reset(client, address.upper()).status_code == 202
    token = _token_mailed_to(app, mailbox, address, count=2)

    assert {str(mail["Subject"]) for mail in mailbox.to(address)} == {"You are invited to Event Booking"}
    assert _reset(client, token).json["code"] == "invalid-token"
    accepted = _accept(client, token)
    assert (accepted.status_code, accepted.json["role"], accepted.json["is_invited"]) == (200, "organizer", False)
    assert _log_in(client, address, NEW_PASSWORD) == 200


def test_an_invited_person_who_is_deactivated_is_not_let_in(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    organizer, address = make_organizer(client), new_email()
    invited = _invite(client, organizer, address)
    token = _token_mailed_to(app, mailbox, address)

    client.delete(f"{API}/users/{invited.json['id']}", headers=organizer.headers)
    assert _ask_for_reset(client, address).status_code == 202
    with app.app_context():
        tasks.drain()

    assert len(mailbox.to(address)) == 1
    assert _accept(client, token).json["code"] == "invalid-token"
    with database.connect() as connection:
        assert connection.scalars(sa.select(User.password_hash).where(User.email == address)).one() is None


def test_a_token_is_withdrawn_when_the_password_is_changed(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    user = make_user(client)
    _ask_for_reset(client, user.email)
    token = _token_mailed_to(app, mailbox, user.email)
    passwords = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert client.post(f"{API}/users/me/password", headers=user.headers, json=passwords).status_code == 204

    assert _reset(client, token, "a third horse battery").json["code"] == "invalid-token"


def test_a_token_does_not_outlive_a_deactivation(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    organizer, user = make_organizer(client), make_user(client)
    _ask_for_reset(client, user.email)
    token = _token_mailed_to(app, mailbox, user.email)
    for is_active in (False, True):
        client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"is_active": is_active})

    assert _reset(client, token).json["code"] == "invalid-token"


def test_a_login_before_a_reset_is_over_after_it(
    app: Flask, client: FlaskClient, database: sa.Engine, mailbox: Mailbox
) -> None:
    user = make_user(client)
    thief = log_in(client, user)
    _ask_for_reset(client, user.email)
    _reset(client, _token_mailed_to(app, mailbox, user.email))

    assert client.get(f"{API}/users/me", headers=thief.headers).status_code == 401
