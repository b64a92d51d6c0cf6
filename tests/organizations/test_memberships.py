"""What members of an organization may do, and since when."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import (
    API,
    EVENT,
    PASSWORD,
    Account,
    book,
    make_event,
    make_key,
    make_organizer,
    make_owner,
    make_user,
    verify_email,
)
from tests.teams.invitations import join_organization


def _organization(client: FlaskClient, owner: Account) -> str:
    [organization] = [one for one in _organizations(client, owner) if one["role"] == "owner"]
    return str(organization["id"])


def _organizations(client: FlaskClient, account: Account) -> Any:
    return client.get(f"{API}/organizations/", headers=account.headers).json


def _change(client: FlaskClient, sender: Account, account: Account, **changes: Any) -> Any:
    return client.patch(f"{API}/users/{account.id}", headers=sender.headers, json=changes)


def test_an_account_in_two_organizations_has_separate_roles(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    other = make_organizer(client)
    account = join_organization(client, database, other, verify_email(client, make_organizer(client)), "organizer")
    home, away = _organization(client, account), _organization(client, other)
    foreign = make_event(client, other, status="draft")

    roles = {one["id"]: one["role"] for one in _organizations(client, account)}
    unclear = client.post(f"{API}/events/", headers=account.headers, json=EVENT)
    created = client.post(f"{API}/events/", headers=account.headers, json={**EVENT, "organization_id": away})

    assert roles == {home: "owner", away: "organizer"}
    assert (unclear.status_code, unclear.json["code"]) == (422, "organization-required")
    assert (created.status_code, created.json["organization_id"]) == (201, away)
    assert client.get(f"{API}/users/", headers=account.headers).json["code"] == "organization-required"
    people = client.get(f"{API}/users/?organization_id={home}", headers=account.headers).json
    assert [person["id"] for person in people] == [account.id]
    # an owner elsewhere has no rights on other events of this organization
    assert client.get(f"{API}/events/{foreign['id']}", headers=account.headers).status_code == 404

    _change(client, other, account, role="user")

    refused = client.post(f"{API}/events/", headers=account.headers, json={**EVENT, "organization_id": away})
    assert (refused.status_code, refused.json["code"]) == (403, "permission-denied")
    assert client.post(f"{API}/events/", headers=account.headers, json=EVENT).json["organization_id"] == home


def test_another_organization_cannot_be_chosen(own_organizations: FlaskClient) -> None:
    client = own_organizations
    stranger, organization_id = make_organizer(client), _organization(client, make_organizer(client))

    for response in (
        client.post(f"{API}/events/", headers=stranger.headers, json={**EVENT, "organization_id": organization_id}),
        client.get(f"{API}/users/?organization_id={organization_id}", headers=stranger.headers),
    ):
        assert (response.status_code, response.json["code"]) == (404, "organization-not-found")


def test_a_revoked_membership_takes_effect_on_the_next_request(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    organizer = join_organization(client, database, owner, verify_email(client, make_user(client)), "organizer")
    draft = make_event(client, organizer, status="draft")

    def statuses() -> list[int]:
        paths = ("/users/", f"/events/{draft['id']}", "/organizations/", "/users/me")
        return [client.get(f"{API}{path}", headers=organizer.headers).status_code for path in paths]

    assert statuses() == [200, 200, 200, 200]
    assert client.delete(f"{API}/users/{organizer.id}", headers=owner.headers).status_code == 204
    assert statuses() == [403, 404, 200, 200]
    assert _organizations(client, organizer) == []


def test_owners_can_make_owners_and_only_owners_can_change_owners(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    second, organizer = [
        join_organization(client, database, owner, verify_email(client, make_user(client)), "organizer")
        for _ in range(2)
    ]

    assert _change(client, organizer, second, role="owner").status_code == 403
    invitation = {"email": "new@example.com", "role": "owner"}
    assert client.post(f"{API}/users/", headers=organizer.headers, json=invitation).status_code == 403
    assert _change(client, owner, second, role="owner").json["is_owner"]
    for changes in ({"role": "user"}, {"is_active": False}, {"role": "organizer"}):
        assert _change(client, organizer, second, **changes).status_code == 403
    assert client.delete(f"{API}/users/{second.id}", headers=organizer.headers).status_code == 403
    assert _change(client, second, owner, role="user").status_code == 200


def test_the_last_owner_stays(own_organizations: FlaskClient, database: sa.Engine) -> None:
    client = own_organizations
    owner = verify_email(client, make_organizer(client))
    join_organization(client, database, owner, verify_email(client, make_user(client)), "organizer")

    for changes in ({"role": "organizer"}, {"is_active": False}):
        refused = _change(client, owner, owner, **changes)
        assert (refused.status_code, refused.json["code"]) == (409, "last-owner")


def test_the_last_organizer_stays_where_organizers_manage_everything(client: FlaskClient) -> None:
    organizer = make_organizer(client)

    for changes in ({"role": "user"}, {"is_active": False}):
        refused = _change(client, organizer, organizer, **changes)
        assert (refused.status_code, refused.json["code"]) == (409, "last-organizer")


@pytest.mark.parametrize("make", [make_user, make_organizer])
def test_a_deactivated_member_of_the_only_organization_cannot_log_in(client: FlaskClient, make: Any) -> None:
    account, owner = make(client), make_owner(client)

    assert client.delete(f"{API}/users/{account.id}", headers=owner.headers).status_code == 204

    login = {"email": account.email, "password": PASSWORD}
    assert client.post(f"{API}/auth/login", json=login).json["code"] == "invalid-credentials"
    assert client.get(f"{API}/users/me", headers=account.headers).status_code == 401


def test_a_removed_customer_cannot_book_that_organizations_events_but_others(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner, other, customer = make_organizer(client), make_organizer(client), make_user(client)
    event = make_event(client, owner)
    booking = book(client, customer, event).json

    assert client.delete(f"{API}/users/{customer.id}", headers=owner.headers).status_code == 204

    refused = book(client, customer, event)
    assert (refused.status_code, refused.json["code"]) == (403, "permission-denied")
    assert book(client, customer, make_event(client, other)).status_code == 201
    assert client.get(f"{API}/bookings/{booking['id']}", headers=customer.headers).json["status"] == "confirmed"
    assert _change(client, owner, customer, is_active=True).status_code == 200
    assert book(client, customer, event).status_code == 201


@pytest.mark.parametrize("change", [{"role": "user"}, {"is_active": False}])
def test_an_owner_answers_for_the_api_keys_of_a_departed_member(
    own_organizations: FlaskClient, database: sa.Engine, change: dict[str, Any]
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    departed = join_organization(client, database, owner, make_user(client), "owner")
    key = make_key(client, departed)
    etag = client.get(key.path, headers=owner.headers).headers["ETag"]

    assert _change(client, owner, departed, **change).status_code == 200

    seen = client.get(key.path, headers={**owner.headers, "If-None-Match": etag})
    assert (seen.status_code, seen.json and seen.json["created_by_id"]) == (200, owner.id)
    created = client.post(f"{API}/events/", headers=key.headers, json=EVENT)
    assert (created.status_code, created.json["organizer_id"]) == (201, owner.id)


@pytest.mark.parametrize("change", [{"role": "user"}, {"is_active": False}])
def test_the_api_keys_of_an_organizer_end_with_their_rights(
    client: FlaskClient, database: sa.Engine, change: dict[str, Any]
) -> None:
    """The organizer knows the secret, so no other organizer's events may become reachable with it."""
    departed, other = (verify_email(client, make_organizer(client)) for _ in range(2))
    key, event = make_key(client, departed), make_event(client, other)

    assert _change(client, other, departed, **change).status_code == 200

    refused = client.patch(f"{API}/events/{event['id']}", headers=key.headers, json={"title": "Mine"})
    assert (refused.status_code, refused.json["code"]) == (401, "unauthenticated")


def test_the_api_keys_of_the_only_owner_are_not_handed_to_an_organizer(
    client: FlaskClient, database: sa.Engine
) -> None:
    owner, organizer = make_owner(client), verify_email(client, make_organizer(client))
    key = make_key(client, owner)

    assert _change(client, owner, owner, role="user").status_code == 200

    assert client.post(f"{key.path}/rotate", headers=organizer.headers, json={}).status_code == 404
    assert client.get(f"{API}/bookings/", headers=key.headers).status_code == 401
