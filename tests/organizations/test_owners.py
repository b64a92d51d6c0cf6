"""Owners keep their role until another owner takes it away."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, make_organizer, make_unverified, make_user, new_email, verify_email
from tests.teams.invitations import NEW_PASSWORD, accept, join_organization
from tests.tokens import token_sent_to


def _invite(client: FlaskClient, sender: Account, email: str, role: str | None) -> Any:
    invitation = {"email": email} | ({"role": role} if role else {})
    return client.post(f"{API}/users/", headers=sender.headers, json=invitation)


def _change(client: FlaskClient, sender: Account, account_id: str, **changes: Any) -> Any:
    return client.patch(f"{API}/users/{account_id}", headers=sender.headers, json=changes)


def _organizer_of(client: FlaskClient, database: sa.Engine, owner: Account) -> Account:
    return join_organization(client, database, owner, verify_email(client, make_user(client)), "organizer")


@pytest.mark.parametrize("role", ["user", "organizer", None])
def test_an_organizer_cannot_invite_an_unverified_owner_again(
    own_organizations: FlaskClient, database: sa.Engine, role: str | None
) -> None:
    client = own_organizations
    owner = make_unverified(client, is_organizer=True)
    # without a verified address, the owner cannot have invited the organizer
    organizer = _organizer_of(client, database, verify_email(client, owner))
    _unverify(database, owner)

    refused = _invite(client, organizer, owner.email, role)

    assert (refused.status_code, refused.json["code"]) == (403, "permission-denied")
    assert client.get(f"{API}/users/me", headers=owner.headers).json["is_owner"]


def test_an_invitation_that_an_owner_accepts_never_lowers_their_role(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = make_unverified(client, is_organizer=True)

    assert _invite(client, owner, owner.email, "user").json["code"] == "email-taken"
    assert _invite(client, owner, owner.email, None).status_code == 200
    accepted = accept(client, token_sent_to(client, database, owner.email), password=NEW_PASSWORD)

    assert (accepted.status_code, accepted.json["is_owner"]) == (200, True)


def test_a_member_with_a_pending_invitation_loses_rights_immediately(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = verify_email(client, make_organizer(client))
    second = join_organization(client, database, owner, verify_email(client, make_user(client)), "owner")
    _unverify(database, second)
    assert _invite(client, owner, second.email, "owner").status_code == 200

    demoted = _change(client, owner, second.id, role="organizer").json

    assert (demoted["role"], demoted["is_owner"]) == ("organizer", False)
    assert _change(client, owner, second.id, role="user").json["role"] == "user"
    assert client.get(f"{API}/users/", headers=second.headers).status_code == 403


def test_an_organizer_cannot_change_or_revoke_the_invitation_of_an_owner(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    organizer = _organizer_of(client, database, owner)
    invited = _invite(client, owner, new_email(), "owner").json

    refused = [
        _change(client, organizer, invited["id"], role="user"),
        _change(client, organizer, invited["id"], is_active=False),
        client.delete(f"{API}/users/{invited['id']}", headers=organizer.headers),
        _invite(client, organizer, invited["email"], "user"),
    ]

    assert [response.status_code for response in refused] == [403] * len(refused)
    assert _change(client, owner, invited["id"], role="user").status_code == 200


def _unverify(database: sa.Engine, account: Account) -> None:
    with database.begin() as connection:
        unverified = sa.text("UPDATE users SET email_verified_at = NULL WHERE id = :id")
        connection.execute(unverified, {"id": account.id})
