"""The organizations that an account belongs to."""

from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import (
    API,
    PASSWORD,
    Account,
    book,
    log_in,
    make_event,
    make_organizer,
    make_user,
    new_email,
    verify_email,
)
from tests.teams.invitations import join_organization

ORGANIZATIONS = f"{API}/organizations/"


def _organizations(client: FlaskClient, account: Account) -> Any:
    return client.get(ORGANIZATIONS, headers=account.headers).json


def test_members_see_their_organizations_with_their_exact_role(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    organizer, member = [
        join_organization(client, database, owner, verify_email(client, make_user(client)), role)
        for role in ("organizer", "user")
    ]

    listed = [_organizations(client, account) for account in (owner, organizer, member)]

    assert [[one["role"] for one in each] for each in listed] == [["owner"], ["organizer"], ["user"]]
    assert {one["name"] for each in listed for one in each} == {"My organization"}
    path = f"{ORGANIZATIONS}{listed[2][0]['id']}"
    assert client.get(path, headers=member.headers).json == listed[2][0]


def test_an_organization_is_not_named_after_its_owner_however_long_the_name(own_organizations: FlaskClient) -> None:
    client, email = own_organizations, new_email()
    account = {"email": email, "password": PASSWORD, "name": "x" * 100, "is_organizer": True}

    created = client.post(f"{API}/auth/signup", json=account)

    assert created.status_code == 201
    [organization] = _organizations(client, log_in(client, Account(created.json["id"], email, "", "")))
    assert organization["name"] == "My organization"


def test_customers_and_strangers_do_not_see_an_organization(own_organizations: FlaskClient) -> None:
    client = own_organizations
    owner, customer, stranger = make_organizer(client), make_user(client), make_organizer(client)
    book(client, customer, make_event(client, owner))
    [organization] = _organizations(client, owner)

    assert _organizations(client, customer) == []
    for account in (customer, stranger):
        for response in (
            client.get(f"{ORGANIZATIONS}{organization['id']}", headers=account.headers),
            client.patch(f"{ORGANIZATIONS}{organization['id']}", headers=account.headers, json={"name": "Mine"}),
        ):
            assert (response.status_code, response.json["code"]) == (404, "organization-not-found")


def test_only_an_owner_renames_an_organization(own_organizations: FlaskClient, database: sa.Engine) -> None:
    client = own_organizations
    owner = make_organizer(client)
    organizer = join_organization(client, database, owner, verify_email(client, make_user(client)), "organizer")
    [before] = _organizations(client, owner)
    path = f"{ORGANIZATIONS}{before['id']}"

    refused = client.patch(path, headers=organizer.headers, json={"name": "Berlin Concerts"})
    changed = client.patch(path, headers=owner.headers, json={"name": "Berlin Concerts"})

    assert (refused.status_code, refused.json["code"]) == (403, "permission-denied")
    assert changed.json == {**before, "name": "Berlin Concerts", "version": before["version"] + 1}
    assert client.get(path, headers=organizer.headers).json["name"] == "Berlin Concerts"


def test_a_new_role_changes_the_etag_of_an_organization(own_organizations: FlaskClient, database: sa.Engine) -> None:
    client = own_organizations
    owner = make_organizer(client)
    member = join_organization(client, database, owner, verify_email(client, make_user(client)), "user")
    [organization] = _organizations(client, member)
    path = f"{ORGANIZATIONS}{organization['id']}"
    etag = client.get(path, headers=member.headers).headers["ETag"]

    client.patch(f"{API}/users/{member.id}", headers=owner.headers, json={"role": "organizer"})

    again = client.get(path, headers={**member.headers, "If-None-Match": etag})
    assert (again.status_code, again.json["role"]) == (200, "organizer")


def test_a_name_must_not_be_empty_or_contain_a_link(own_organizations: FlaskClient) -> None:
    client = own_organizations
    owner = make_organizer(client)
    [organization] = _organizations(client, owner)

    for name in ("", " ", "https://evil.example", "x" * 101):
        response = client.patch(f"{ORGANIZATIONS}{organization['id']}", headers=owner.headers, json={"name": name})
        assert response.status_code == 422
        assert [error["field"] for error in response.json["errors"]] == ["name"]


def test_signing_up_as_an_organizer_creates_an_organization(own_organizations: FlaskClient) -> None:
    owner = make_organizer(own_organizations)

    assert own_organizations.get(f"{API}/users/me", headers=owner.headers).json["is_owner"]
    people = own_organizations.get(f"{API}/users/", headers=owner.headers).json
    assert [person["id"] for person in people] == [owner.id]
