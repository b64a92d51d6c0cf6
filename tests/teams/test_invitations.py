"""Adding people to the team of an event: members join, everyone else is invited."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Account, add_to_team, make_event, make_organizer, make_user, new_email, verify_email
from tests.teams.invitations import NEW_PASSWORD, accept, emails_to, invite, team_of
from tests.tokens import token_sent_to


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer)


def _team(client: FlaskClient, organizer: Account, event: dict[str, Any]) -> Any:
    return client.get(team_of(event), headers=organizer.headers).json


def _door_list(client: FlaskClient, account: Account, event: dict[str, Any]) -> int:
    return client.get(f"{API}/events/{event['id']}/door-list", headers=account.headers).status_code


def test_a_member_with_a_verified_email_joins_immediately_and_is_notified(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    member = verify_email(client, make_user(client))

    added = invite(client, organizer, event, member.email.upper(), "check_in")

    assert (added.status_code, added.json["is_invited"], added.json["name"]) == (201, False, "Ada Lovelace")
    assert client.get(added.headers["Location"], headers=organizer.headers).json == added.json
    assert _team(client, organizer, event) == [added.json]
    assert _door_list(client, member, event) == 200
    assert emails_to(database, member.email)[-1:] == ["team_changed"]


def test_an_unknown_person_joins_when_they_accept(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    address = new_email()
    invited = invite(client, organizer, event, address, "check_in")
    token = token_sent_to(client, database, address)

    accepted = accept(client, token, password=NEW_PASSWORD, name="Colette")

    assert (invited.status_code, invited.json["is_invited"], invited.json["name"]) == (201, True, None)
    assert (accepted.status_code, accepted.json["role"], accepted.json["is_invited"]) == (200, "user", False)
    [member] = _team(client, organizer, event)
    assert (member["name"], member["is_invited"], member["version"]) == ("Colette", False, 2)
    people = client.get(f"{API}/users/?q={address}", headers=organizer.headers).json
    assert [(person["role"], person["is_invited"]) for person in people] == [("user", False)]
    assert accept(client, token, password=NEW_PASSWORD).json["code"] == "invalid-token"


def test_nothing_takes_effect_before_an_invitation_is_accepted(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    organizer = make_organizer(client)
    outsider = verify_email(client, make_user(client))
    event = make_event(client, organizer)
    draft = make_event(client, organizer, status="draft")
    invited = [invite(client, organizer, one, outsider.email) for one in (event, draft)]

    assert [response.json["is_invited"] for response in invited] == [True, True]
    assert [response.json["name"] for response in invited] == [None, None]
    assert _door_list(client, outsider, event) == 403
    assert _door_list(client, outsider, draft) == 404

    assert accept(client, token_sent_to(client, database, outsider.email)).status_code == 200

    assert _door_list(client, outsider, event) == 403
    assert _door_list(client, outsider, draft) == 200


def test_an_unverified_member_is_invited_and_accepting_replaces_their_password(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    squatter = _unverified(client, database, make_user(client))

    invited = invite(client, organizer, event, squatter.email)
    without_password = accept(client, token_sent_to(client, database, squatter.email))
    accepted = accept(client, token_sent_to(client, database, squatter.email), password=NEW_PASSWORD)

    assert (invited.json["is_invited"], invited.json["name"]) == (True, None)
    assert [error["field"] for error in without_password.json["errors"]] == ["password"]
    assert accepted.status_code == 200
    assert client.get(f"{API}/users/me", headers=squatter.headers).status_code == 401


def _unverified(client: FlaskClient, database: sa.Engine, account: Account) -> Account:
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE users SET email_verified_at = NULL WHERE id = :id"), {"id": account.id})
    return account


def test_inviting_again_replaces_the_earlier_invitation(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    address = new_email()
    invite(client, organizer, event, address, "check_in")
    first = token_sent_to(client, database, address)

    again = invite(client, organizer, event, address, "co_organizer")

    assert (again.status_code, again.json["role"], again.json["version"]) == (200, "co_organizer", 2)
    assert "Location" not in again.headers
    assert accept(client, first, password=NEW_PASSWORD).json["code"] == "invalid-token"
    assert accept(client, token_sent_to(client, database, address), password=NEW_PASSWORD).status_code == 200


def test_changing_the_role_of_an_invited_person_invites_them_again(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    address = new_email()
    path = f"{team_of(event)}/{invite(client, organizer, event, address, 'check_in').json['user_id']}"
    first = token_sent_to(client, database, address)

    changed = client.patch(path, headers=organizer.headers, json={"role": "co_organizer"})

    assert (changed.status_code, changed.json["is_invited"]) == (200, True)
    assert emails_to(database, address) == ["team_invitation", "team_invitation"]
    assert accept(client, first, password=NEW_PASSWORD).json["code"] == "invalid-token"


def test_a_revoked_invitation_cannot_be_accepted(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    address = new_email()
    path = f"{team_of(event)}/{invite(client, organizer, event, address).json['user_id']}"
    token = token_sent_to(client, database, address)

    assert client.delete(path, headers=organizer.headers).status_code == 204

    assert accept(client, token, password=NEW_PASSWORD).json["code"] == "invalid-token"
    assert client.get(path, headers=organizer.headers).json["code"] == "team-member-not-found"
    assert emails_to(database, address) == ["team_invitation"]


def test_an_invitation_to_a_deleted_event_cannot_be_accepted(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    address = new_email()
    invite(client, organizer, event, address)
    token = token_sent_to(client, database, address)
    client.delete(f"{API}/events/{event['id']}", headers=organizer.headers)

    assert accept(client, token, password=NEW_PASSWORD).json["code"] == "invalid-token"


def test_a_deactivated_account_cannot_be_added(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    account = make_user(client)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE users SET is_active = false WHERE id = :id"), {"id": account.id})

    refused = invite(client, organizer, event, account.email)

    assert (refused.status_code, refused.json["code"]) == (409, "access-revoked")
    assert emails_to(database, account.email) == []


def test_revoking_the_only_invitation_removes_the_person_from_the_organization(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    address, other = new_email(), make_event(client, organizer)
    member = invite(client, organizer, event, address).json
    invite(client, organizer, other, address)
    person = f"{API}/users/{member['user_id']}"

    client.delete(f"{team_of(event)}/{member['user_id']}", headers=organizer.headers)
    assert client.get(person, headers=organizer.headers).json["is_invited"]
    client.delete(f"{team_of(other)}/{member['user_id']}", headers=organizer.headers)

    assert client.get(person, headers=organizer.headers).status_code == 404
    client.post(f"{API}/auth/password-reset", json={"email": address})
    reset = {"token": token_sent_to(client, database, address), "password": NEW_PASSWORD}
    assert client.post(f"{API}/auth/password-reset/confirm", json=reset).status_code == 204


def test_revoking_a_team_invitation_keeps_an_invitation_to_the_organization(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    address = new_email()
    person = client.post(f"{API}/users/", headers=organizer.headers, json={"email": address}).json
    invite(client, organizer, event, address)

    client.delete(f"{team_of(event)}/{person['id']}", headers=organizer.headers)

    kept = client.get(f"{API}/users/{person['id']}", headers=organizer.headers)
    assert (kept.status_code, kept.json["is_invited"]) == (200, True)


def test_a_person_has_only_one_role_in_an_event(client: FlaskClient, organizer: Account, event: dict[str, Any]) -> None:
    member = add_to_team(client, organizer, event, make_user(client))

    for address in (member.email, organizer.email):
        refused = invite(client, organizer, event, address, "check_in")
        assert (refused.status_code, refused.json["code"]) == (409, "already-on-team")
        assert [error["field"] for error in refused.json["errors"]] == ["email"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "check_in"}, "email"),
        ({"email": "nobody", "role": "check_in"}, "email"),
        ({"email": "ada@example.com"}, "role"),
        ({"email": "ada@example.com", "role": "owner"}, "role"),
        ({"email": "ada@example.com", "role": "check_in", "name": "Ada"}, "name"),
    ],
)
def test_an_invalid_team_member_names_the_field(
    client: FlaskClient, organizer: Account, event: dict[str, Any], body: dict[str, str], field: str
) -> None:
    response = client.post(team_of(event), headers=organizer.headers, json=body)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


def test_invitations_to_teams_share_the_limit_of_invitations(
    app: Flask, client: FlaskClient, organizer: Account, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "INVITATION_LIMIT", "1 per hour")
    client.post(f"{API}/users/", headers=organizer.headers, json={"email": new_email()})

    assert invite(client, organizer, event, new_email()).status_code == 429


def test_a_person_who_lost_an_invitation_gets_it_again_by_resetting_their_password(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client, address = own_organizations, new_email()
    organizer = make_organizer(client)
    event = make_event(client, organizer)
    member = invite(client, organizer, event, address).json

    client.post(f"{API}/auth/password-reset", json={"email": address})
    token = token_sent_to(client, database, address)
    assert emails_to(database, address) == ["team_invitation", "team_invitation"]

    client.delete(f"{team_of(event)}/{member['user_id']}", headers=organizer.headers)
    assert accept(client, token, password=NEW_PASSWORD).json["code"] == "invalid-token"
    client.post(f"{API}/auth/password-reset", json={"email": address})
    reset = {"token": token_sent_to(client, database, address), "password": NEW_PASSWORD}

    assert client.post(f"{API}/auth/password-reset/confirm", json=reset).status_code == 204
    login = {"email": address, "password": NEW_PASSWORD}
    assert client.post(f"{API}/auth/login", json=login).status_code == 200
