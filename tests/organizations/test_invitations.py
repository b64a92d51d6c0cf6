"""An invitation takes effect when it is accepted, and until then changes nothing."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
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


def _invite(client: FlaskClient, owner: Account, email: str, **fields: Any) -> Any:
    return client.post(f"{API}/users/", headers=owner.headers, json={"email": email, "role": "organizer", **fields})


def _accept(client: FlaskClient, token: str, **fields: Any) -> Any:
    return client.post(f"{API}/auth/invitations/accept", json={"token": token, **fields})


def _me(client: FlaskClient, account: Account) -> Any:
    return client.get(f"{API}/users/me", headers=account.headers)


def _person(client: FlaskClient, owner: Account, account_id: str) -> Any:
    return client.get(f"{API}/users/{account_id}", headers=owner.headers)


def _log_in(client: FlaskClient, email: str, password: str) -> int:
    return client.post(f"{API}/auth/login", json={"email": email, "password": password}).status_code


def test_an_existing_account_joins_when_it_accepts_and_keeps_its_password(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner, account = make_organizer(client), make_user(client)
    before = _me(client, account)
    assert _invite(client, owner, account.email).status_code == 201

    unchanged = _me(client, account)
    assert (unchanged.json, unchanged.headers["ETag"]) == (before.json, before.headers["ETag"])
    assert client.get(f"{API}/users/", headers=account.headers).status_code == 403
    accepted = _accept(client, token_sent_to(client, database, account.email), password=NEW_PASSWORD, name="Mallory")

    assert (accepted.json["role"], accepted.json["name"]) == ("organizer", before.json["name"])
    assert client.get(f"{API}/users/", headers=account.headers).status_code == 200
    assert [_log_in(client, account.email, password) for password in (PASSWORD, NEW_PASSWORD)] == [200, 401]


def test_an_invitation_shows_nothing_about_an_existing_account(own_organizations: FlaskClient) -> None:
    client = own_organizations
    owner, account = make_organizer(client), make_user(client)

    invited = _invite(client, owner, account.email).json

    assert (invited["name"], invited["email_verified"]) == (None, False)
    assert invited["created_at"] > _me(client, account).json["created_at"]


def test_an_invitation_does_not_show_the_name_that_another_organization_gave(own_organizations: FlaskClient) -> None:
    client, address = own_organizations, new_email()
    first, second = make_organizer(client), make_organizer(client)

    invited = _invite(client, first, address, name="Colette").json

    assert _invite(client, second, address).json["name"] is None
    assert _person(client, first, invited["id"]).json["name"] == "Colette"


def test_an_invitation_does_not_show_the_name_of_an_existing_account(own_organizations: FlaskClient) -> None:
    client = own_organizations
    owner, account = make_organizer(client), make_user(client)

    invited = _invite(client, owner, account.email, name="A guess").json

    assert (invited["name"], invited["is_invited"]) == (None, True)
    refused = client.patch(f"{API}/users/{account.id}", headers=owner.headers, json={"name": "Ada Lovelace"})
    assert refused.status_code == 403


def test_accepting_an_invitation_to_a_squatted_address_locks_the_squatter_out(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner, squatter = make_organizer(client), make_unverified(client)
    mine = new_email()
    change = {"email": mine, "current_password": PASSWORD}
    assert client.patch(f"{API}/users/me", headers=squatter.headers, json=change).status_code == 200
    taking_over = token_sent_to(client, database, mine)
    _invite(client, owner, squatter.email)
    token = token_sent_to(client, database, squatter.email)

    accepted = _accept(client, token, password=NEW_PASSWORD, name="Grace Hopper")

    assert (accepted.json["name"], accepted.json["email_verified"]) == ("Grace Hopper", True)
    assert _me(client, squatter).status_code == 401
    refresh = {"Authorization": f"Bearer {squatter.refresh_token}"}
    assert client.post(f"{API}/auth/refresh", headers=refresh).status_code == 401
    assert [_log_in(client, squatter.email, password) for password in (PASSWORD, NEW_PASSWORD)] == [401, 200]
    assert client.post(f"{API}/auth/verify-email", json={"token": taking_over}).status_code == 422


def test_an_invitation_to_an_unverified_account_requires_a_new_password(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner, squatter = make_organizer(client), make_unverified(client)
    _invite(client, owner, squatter.email)
    token = token_sent_to(client, database, squatter.email)

    refused = _accept(client, token)

    assert (refused.status_code, [error["field"] for error in refused.json["errors"]]) == (422, ["password"])
    assert _me(client, squatter).json["role"] == "user"
    assert _accept(client, token, password=NEW_PASSWORD).status_code == 200


def test_a_customer_can_be_invited(own_organizations: FlaskClient, database: sa.Engine) -> None:
    client = own_organizations
    owner, customer = make_organizer(client), make_user(client)
    book(client, customer, make_event(client, owner))
    url = f"{API}/users/{customer.id}"
    refused = client.patch(url, headers=owner.headers, json={"role": "organizer"})
    assert (refused.status_code, refused.json["code"]) == (409, "not-a-member")

    assert _invite(client, owner, customer.email).status_code == 200
    _accept(client, token_sent_to(client, database, customer.email))

    person = _person(client, owner, customer.id).json
    assert (person["role"], person["is_invited"], person["name"]) == ("organizer", False, "Ada Lovelace")


def test_an_account_invited_by_two_organizations_can_accept_only_one(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    first, second, address = make_organizer(client), make_organizer(client), new_email()
    invited = _invite(client, first, address, name="Colette").json
    token = token_sent_to(client, database, address)
    _invite(client, second, address, name="Somebody else")
    before = _person(client, second, invited["id"])

    assert _accept(client, token, password=NEW_PASSWORD).json["name"] == "Colette"

    assert _person(client, first, invited["id"]).json["is_invited"] is False
    still = _person(client, second, invited["id"])
    assert (still.json["is_invited"], still.json["id"]) == (True, before.json["id"])
    assert _accept(client, token_sent_to(client, database, address)).status_code == 200
    assert _person(client, second, invited["id"]).json["is_invited"] is False


def test_the_invitation_names_the_organization(own_organizations: FlaskClient, database: sa.Engine) -> None:
    client, email = own_organizations, new_email()
    signup = {"email": email, "password": PASSWORD, "is_organizer": True, "organization_name": "Chamber Music Society"}
    created = client.post(f"{API}/auth/signup", json=signup).json
    tokens = client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD}).json
    owner, invited = Account(created["id"], email, tokens["access_token"], ""), new_email()

    _invite(client, owner, invited)

    with database.connect() as connection:
        payload = connection.scalars(sa.select(OutboxEmail.payload).where(OutboxEmail.recipient == invited)).one()
    assert payload["organization"] == "Chamber Music Society"


def test_organizers_can_correct_the_name_only_of_accounts_that_belong_to_no_other_organization(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    first, second, account = make_organizer(client), make_organizer(client), make_user(client)
    url = f"{API}/users/{account.id}"
    _invite(client, first, account.email)
    _accept(client, token_sent_to(client, database, account.email))
    renamed = client.patch(url, headers=first.headers, json={"name": "Ada King"})
    assert (renamed.status_code, renamed.json["name"]) == (200, "Ada King")

    _invite(client, second, account.email)

    refused = client.patch(url, headers=first.headers, json={"name": "Mallory"})
    assert (refused.status_code, _me(client, account).json["name"]) == (403, "Ada King")


@pytest.mark.parametrize("is_verified", [True, False])
def test_a_member_is_invited_again_only_to_an_unverified_address(client: FlaskClient, *, is_verified: bool) -> None:
    owner, account = make_organizer(client), make_user(client) if is_verified else make_unverified(client)

    response = _invite(client, owner, account.email)

    assert response.status_code == (409 if is_verified else 200)
    assert _me(client, account).json["role"] == "user"


def test_a_revoked_invitation_cannot_be_accepted(own_organizations: FlaskClient, database: sa.Engine) -> None:
    client = own_organizations
    owner, account = make_organizer(client), make_user(client)
    _invite(client, owner, account.email)
    token = token_sent_to(client, database, account.email)

    assert client.delete(f"{API}/users/{account.id}", headers=owner.headers).status_code == 204

    assert _accept(client, token).json["code"] == "invalid-token"
    assert _me(client, account).status_code == 200


def test_giving_up_the_invited_address_withdraws_the_invitation(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client, new = own_organizations, new_email()
    owner, squatter = make_organizer(client), make_unverified(client)
    invited = _invite(client, owner, squatter.email).json
    token = token_sent_to(client, database, squatter.email)
    change = {"email": new, "current_password": PASSWORD}
    client.patch(f"{API}/users/me", headers=squatter.headers, json=change)

    confirmed = client.post(f"{API}/auth/verify-email", json={"token": token_sent_to(client, database, new)})

    assert confirmed.status_code == 204
    assert _accept(client, token, password=NEW_PASSWORD).json["code"] == "invalid-token"
    assert _person(client, owner, invited["id"]).status_code == 404
    again = _invite(client, owner, squatter.email).json
    assert again["id"] != invited["id"]
