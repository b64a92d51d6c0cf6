"""What organizers do with accounts, and everybody with the own one."""

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
from tests.factories import API, PASSWORD, make_account, make_organizer, make_user, new_email


def _emails(client: FlaskClient, headers: Any, query: str = "") -> list[str]:
    response = client.get(f"{API}/users/?{query}", headers=headers)
    assert response.status_code == 200, response.text
    return [user["email"] for user in response.json]


def _kinds(database: sa.Engine, address: str) -> list[str]:
    with database.connect() as connection:
        return sorted(connection.scalars(sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == address)))


def test_one_reads_and_renames_oneself(client: FlaskClient) -> None:
    user = make_user(client)

    changed = client.patch(f"{API}/users/me", headers=user.headers, json={"name": "Ada King"})

    assert (changed.status_code, changed.json["name"]) == (200, "Ada King")
    assert client.get(f"{API}/users/me", headers=user.headers).json == changed.json


@pytest.mark.parametrize("field", ["email", "role", "is_active", "password", "id", "password_hash"])
def test_one_changes_nothing_else_of_oneself(client: FlaskClient, field: str) -> None:
    response = client.patch(f"{API}/users/me", headers=make_user(client).headers, json={field: "organizer"})

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


def test_the_list_is_filtered_by_part_of_name_or_address_role_and_access(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    ada = make_account(client, name="Ada Lovelace")
    grace = make_account(client, name="Grace Hopper")
    client.delete(f"{API}/users/{grace.id}", headers=organizer.headers)
    headers = organizer.headers

    assert _emails(client, headers) == sorted([organizer.email, ada.email, grace.email])
    assert _emails(client, headers, "q=LOVE") == [ada.email]
    assert _emails(client, headers, f"q={grace.email[:12].upper()}") == [grace.email]
    assert _emails(client, headers, "q=%25") == []
    assert _emails(client, headers, "role=organizer") == [organizer.email]
    assert _emails(client, headers, "is_active=false") == [grace.email]
    assert _emails(client, headers, "is_active=true&role=user") == [ada.email]


@pytest.mark.parametrize("query", ["role=ADMIN", "is_active=yes", "is_active=1", "q=", "page=0"])
def test_a_bad_filter_is_named(client: FlaskClient, query: str) -> None:
    response = client.get(f"{API}/users/?{query}", headers=make_organizer(client).headers)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [query.split("=", maxsplit=1)[0]]


def test_a_changed_role_is_told_by_mail_and_holds(client: FlaskClient, database: sa.Engine) -> None:
    organizer, user = make_organizer(client), make_user(client)

    changed = client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"role": "organizer"})

    assert (changed.status_code, changed.json["role"]) == (200, "organizer")
    assert _kinds(database, user.email) == ["role_changed"]


def test_taking_access_and_giving_it_back_are_told_by_mail(client: FlaskClient, database: sa.Engine) -> None:
    organizer, user = make_organizer(client), make_user(client)
    url = f"{API}/users/{user.id}"

    assert client.delete(url, headers=organizer.headers).status_code == 204
    assert client.delete(url, headers=organizer.headers).status_code == 204
    assert client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD}).status_code == 401
    assert client.patch(url, headers=organizer.headers, json={"is_active": True}).json["is_active"] is True

    assert client.post(f"{API}/auth/login", json={"email": user.email, "password": PASSWORD}).status_code == 200
    assert _kinds(database, user.email) == ["access_changed", "access_changed"]


def test_a_new_name_is_not_told_and_ends_no_login(client: FlaskClient, database: sa.Engine) -> None:
    organizer, user = make_organizer(client), make_user(client)

    client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json={"name": "Ada King", "role": "user"})

    assert _kinds(database, user.email) == []
    assert client.get(f"{API}/users/me", headers=user.headers).json["name"] == "Ada King"


@pytest.mark.parametrize("field", ["email", "password", "password_hash", "id"])
def test_an_organizer_changes_nobodys_address_or_password(client: FlaskClient, field: str) -> None:
    user = make_user(client)

    response = client.patch(f"{API}/users/{user.id}", headers=make_organizer(client).headers, json={field: "x"})

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


@pytest.mark.parametrize("change", [{"role": "user"}, {"is_active": False}], ids=str)
def test_the_last_active_organizer_stays_one(client: FlaskClient, change: dict[str, Any]) -> None:
    organizer = make_organizer(client)
    # neither an invitation that nobody accepted nor a deactivated account can run the place
    client.post(f"{API}/users/", headers=organizer.headers, json={"email": new_email(), "role": "organizer"})
    former = make_organizer(client)
    client.delete(f"{API}/users/{former.id}", headers=organizer.headers)

    response = client.patch(f"{API}/users/{organizer.id}", headers=organizer.headers, json=change)

    assert (response.status_code, response.json["code"]) == (409, "last-organizer")
    assert client.get(f"{API}/users/me", headers=organizer.headers).json["role"] == "organizer"


def test_an_organizer_may_step_back_while_another_is_there(client: FlaskClient) -> None:
    make_organizer(client)
    organizer = make_organizer(client)

    response = client.patch(f"{API}/users/{organizer.id}", headers=organizer.headers, json={"role": "user"})

    assert response.status_code == 200


def test_who_never_accepted_an_invitation_is_told_of_no_change(client: FlaskClient, database: sa.Engine) -> None:
    organizer, address = make_organizer(client), new_email()
    invited = client.post(f"{API}/users/", headers=organizer.headers, json={"email": address, "role": "organizer"}).json
    url = f"{API}/users/{invited['id']}"

    for change in ({"is_active": False}, {"is_active": True}, {"role": "user"}):
        assert client.patch(url, headers=organizer.headers, json=change).status_code == 200

    assert _kinds(database, address) == ["invitation"]
    again = client.post(f"{API}/users/", headers=organizer.headers, json={"email": address}).json
    assert again["role"] == "user"


def test_an_unknown_account_is_not_found(client: FlaskClient) -> None:
    organizer = make_organizer(client)

    for method in (client.get, client.delete):
        response = method(f"{API}/users/{uuid4()}", headers=organizer.headers)
        assert (response.status_code, response.json["code"]) == (404, "user-not-found")


def test_each_change_is_logged_with_who_did_it_and_what(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    organizer, user = make_organizer(client), make_user(client)

    with caplog.at_level("INFO", logger="bookings_api.audit"):
        changes = {"role": "organizer", "name": "Grace Hopper"}
        client.patch(f"{API}/users/{user.id}", headers=organizer.headers, json=changes)

    (record,) = [record for record in caplog.records if record.name == "bookings_api.audit"]
    assert record.__dict__["actor_id"] == organizer.id
    assert record.__dict__["account_id"] == user.id
    assert record.__dict__["changes"] == {"role": "organizer", "name": "changed"}
    assert "Grace" not in record.getMessage()


def test_where_organizers_are_invited_nobody_signs_up_as_one(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "ORGANIZER_SIGNUP", "invite_only")
    account = {"email": new_email(), "password": PASSWORD}

    refused = client.post(f"{API}/auth/signup", json={**account, "is_organizer": True})

    assert (refused.status_code, refused.json["code"]) == (403, "not-allowed")
    assert client.post(f"{API}/auth/signup", json=account).status_code == 201
