"""Managing accounts: organizers manage all of them, users only their own profile."""

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
from tests.factories import API, PASSWORD, make_account, make_organizer, make_user, new_email, verify_email


def _list(client: FlaskClient, headers: Any, query: str = "") -> list[str]:
    response = client.get(f"{API}/users/?{query}", headers=headers)
    assert response.status_code == 200, response.text
    return [user["email"] for user in response.json]


def _emails_sent_to(database: sa.Engine, address: str) -> list[str]:
    with database.connect() as connection:
        return sorted(connection.scalars(sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == address)))


def test_users_can_read_and_rename_their_own_account(client: FlaskClient) -> None:
    user = make_user(client)

    changed = client.patch(f"{API}/users/me", headers=user.headers, json={"name": "Ada King"})

    assert (changed.status_code, changed.json["name"]) == (200, "Ada King")
    assert client.get(f"{API}/users/me", headers=user.headers).json == changed.json


@pytest.mark.parametrize("field", ["email", "role", "is_active", "password", "id", "password_hash"])
def test_users_cannot_change_other_fields_of_their_own_account(client: FlaskClient, field: str) -> None:
    response = client.patch(f"{API}/users/me", headers=make_user(client).headers, json={field: "organizer"})

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


def test_the_list_can_be_filtered_by_text_role_and_status(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    ada = make_account(client, name="Ada Lovelace")
    grace = make_account(client, name="Grace Hopper")
    client.delete(f"{API}/users/{grace.id}", headers=organizer.headers)
    headers = organizer.headers

    assert _list(client, headers) == sorted([organizer.email, ada.email, grace.email])
    assert _list(client, headers, "q=LOVE") == [ada.email]
    assert _list(client, headers, f"q={grace.email[:12].upper()}") == [grace.email]
    assert _list(client, headers, "q=%25") == []
    assert _list(client, headers, "role=organizer") == [organizer.email]
    assert _list(client, headers, "is_active=false") == [grace.email]
    assert _list(client, headers, "is_active=true&role=user") == [ada.email]


@pytest.mark.parametrize("query", ["role=ADMIN", "is_active=yes", "is_active=1", "q=", "page=0"])
def test_an_invalid_filter_is_named(client: FlaskClient, query: str) -> None:
    response = client.get(f"{API}/users/?{query}", headers=make_organizer(client).headers)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [query.split("=", maxsplit=1)[0]]


def test_changing_a_role_notifies_the_user_by_email(client: FlaskClient, database: sa.Engine) -> None:
    organizer, user = make_organizer(client), verify_email(client, make_user(client))

    changed = client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"role": "organizer"})

    assert (changed.status_code, changed.json["role"]) == (200, "organizer")
    assert _emails_sent_to(database, user.email) == ["role_changed"]


def test_deactivating_and_reactivating_an_account_notify_the_user_by_email(
    client: FlaskClient, database: sa.Engine
) -> None:
    organizer, user = make_organizer(client), make_user(client)
    url = f"{API}/users/{user.id}"

    assert client.delete(url, headers=organizer.headers).status_code == 204
    assert client.delete(url, headers=organizer.headers).status_code == 204
    assert client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD}).status_code == 401
    assert client.patch(url, headers=organizer.headers, json={"is_active": True}).json["is_active"] is True

    assert client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD}).status_code == 200
    assert _emails_sent_to(database, user.email) == ["access_changed", "access_changed"]


def test_renaming_an_account_sends_no_email_and_ends_no_login(client: FlaskClient, database: sa.Engine) -> None:
    organizer, user = make_organizer(client), make_user(client)

    client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"name": "Ada King", "role": "user"})

    assert _emails_sent_to(database, user.email) == []
    assert client.get(f"{API}/users/me", headers=user.headers).json["name"] == "Ada King"


@pytest.mark.parametrize("field", ["email", "password", "password_hash", "id"])
def test_organizers_cannot_change_an_accounts_address_or_password(client: FlaskClient, field: str) -> None:
    user = make_user(client)

    response = client.patch(f"{API}/users/{user.id}", headers=make_organizer(client).headers, json={field: "x"})

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


@pytest.mark.parametrize("change", [{"role": "user"}, {"is_active": False}], ids=str)
def test_the_last_active_organizer_cannot_be_demoted_or_deactivated(
    client: FlaskClient, change: dict[str, Any]
) -> None:
    organizer = make_organizer(client)
    # pending invitations and deactivated accounts do not count
    client.post(f"{API}/users/", headers=organizer.headers, json={"email": new_email(), "role": "organizer"})
    former = make_organizer(client)
    client.delete(f"{API}/users/{former.id}", headers=organizer.headers)

    response = client.patch(f"{API}/users/{organizer.id}", headers=organizer.headers, json=change)

    assert (response.status_code, response.json["code"]) == (409, "last-organizer")
    assert client.get(f"{API}/users/me", headers=organizer.headers).json["role"] == "organizer"


def test_an_organizer_can_step_down_while_another_remains(client: FlaskClient) -> None:
    make_organizer(client)
    organizer = make_organizer(client)

    response = client.patch(f"{API}/users/{organizer.id}", headers=organizer.headers, json={"role": "user"})

    assert response.status_code == 200


def test_changes_before_an_invitation_is_accepted_send_no_email(client: FlaskClient, database: sa.Engine) -> None:
    organizer, address = make_organizer(client), new_email()
    invited = client.post(f"{API}/users/", headers=organizer.headers, json={"email": address, "role": "organizer"}).json
    url = f"{API}/users/{invited['id']}"

    for change in ({"is_active": False}, {"is_active": True}, {"role": "user"}):
        assert client.patch(url, headers=organizer.headers, json=change).status_code == 200

    assert _emails_sent_to(database, address) == ["invitation"]
    again = client.post(f"{API}/users/", headers=organizer.headers, json={"email": address}).json
    assert again["role"] == "user"


def test_an_unknown_account_is_not_found(client: FlaskClient) -> None:
    organizer = make_organizer(client)

    for method in (client.get, client.delete):
        response = method(f"{API}/users/{uuid4()}", headers=organizer.headers)
        assert (response.status_code, response.json["code"]) == (404, "user-not-found")


def test_changing_an_account_is_logged_with_the_actor_and_changes(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    organizer, user = make_organizer(client), verify_email(client, make_user(client))

    with caplog.at_level("INFO", logger="bookings_api.audit"):
        changes = {"role": "organizer", "name": "Grace Hopper"}
        client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json=changes)

    (record,) = [record for record in caplog.records if record.name == "bookings_api.audit"]
    assert record.__dict__["actor_id"] == organizer.id
    assert record.__dict__["account_id"] == user.id
    assert record.__dict__["changes"] == {"role": "organizer", "name": "changed"}
    assert "Grace" not in record.getMessage()


def test_invite_only_prevents_signing_up_as_an_organizer(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "ORGANIZER_SIGNUP", "invite_only")
    account = {"email": new_email(), "password": PASSWORD}

    refused = client.post(f"{API}/auth/signup", json={**account, "is_organizer": True})

    assert (refused.status_code, refused.json["code"]) == (403, "permission-denied")
    assert client.post(f"{API}/auth/signup", json=account).status_code == 201
