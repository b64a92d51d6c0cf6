"""Organizations learn nothing about each other, or about people who have not accepted their invitation."""

from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
from tests.factories import API, Account, make_organizer, make_user, new_email, verify_email
from tests.teams.invitations import join_organization


def _person(client: FlaskClient, sender: Account, account_id: str) -> Any:
    return client.get(
        f"{API}/users/{account_id}?organization_id={_organization(client, sender)}", headers=sender.headers
    )


def _organization(client: FlaskClient, owner: Account) -> str:
    organizations: Any = client.get(f"{API}/organizations/", headers=owner.headers).json
    return str(organizations[0]["id"])


def _invite(client: FlaskClient, sender: Account, email: str, **fields: Any) -> Any:
    return client.post(f"{API}/users/", headers=sender.headers, json={"email": email, **fields})


def test_a_change_of_role_or_access_is_invisible_to_other_organizations(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    first, second = make_organizer(client), make_organizer(client)
    account = verify_email(client, make_user(client))
    for owner in (first, second):
        join_organization(client, database, owner, account, "user")
    before = _person(client, second, account.id)

    for changes in ({"role": "organizer"}, {"is_active": False}):
        changed = client.patch(f"{API}/users/{account.id}", headers=first.headers, json=changes)
        assert changed.status_code == 200

    after = _person(client, second, account.id)
    assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"])


def test_an_organization_does_not_see_the_name_that_another_one_typed(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client, address = own_organizations, new_email()
    first, second = make_organizer(client), make_organizer(client)
    invited = _invite(client, first, address, name="Colette Typed").json
    before = _person(client, first, invited["id"])

    assert _invite(client, second, address).json["name"] is None
    assert client.get(f"{API}/users/?q=typed", headers=second.headers).json == []

    after = _person(client, first, invited["id"])
    assert (after.json, after.json["name"]) == (before.json, "Colette Typed")
    with database.connect() as connection:
        emails = sa.select(OutboxEmail.payload).where(OutboxEmail.recipient == address).order_by(OutboxEmail.id)
        assert [payload["name"] for payload in connection.scalars(emails)] == ["Colette Typed", None]


def test_a_pending_invitation_does_not_reveal_whether_an_account_exists(own_organizations: FlaskClient) -> None:
    client = own_organizations
    owner, account = make_organizer(client), verify_email(client, make_user(client))

    existing = _invite(client, owner, account.email).json
    unknown = _invite(client, owner, new_email()).json

    assert existing["created_at"] > client.get(f"{API}/users/me", headers=account.headers).json["created_at"]
    own = {"id", "email", "created_at"}
    assert {name: existing[name] for name in existing.keys() - own} == {
        name: unknown[name] for name in unknown.keys() - own
    }


def test_following_the_location_of_an_invitation_works_with_several_organizations(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner, other = verify_email(client, make_organizer(client)), make_organizer(client)
    organization = _organization(client, other)
    join_organization(client, database, other, owner, "organizer")

    invited = _invite(client, owner, new_email(), organization_id=organization)

    found = client.get(invited.headers["Location"], headers=owner.headers)
    assert (found.status_code, found.json) == (200, invited.json)
