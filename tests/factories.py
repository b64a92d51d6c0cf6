"""Creates accounts like `flask users create`, and events and bookings over HTTP, as a client would."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.auth.services import sign_up
from bookings_api.extensions import db
from bookings_api.models import MemberRole, Membership, Organization, User
from bookings_api.permissions import Tenancy

PASSWORD = "correct horse battery"

API = "/api/v1"

EVENT: Mapping[str, Any] = {
    "title": "An Evening of Chamber Music",
    "description": "Two late quartets.\nDoors open at 19:00.",
    "location": "Konzerthaus Berlin",
    "timezone": "Europe/Berlin",
    "starts_at": "2099-06-19T19:30:00+02:00",
    "ends_at": "2099-06-19T22:00:00+02:00",
    "capacity": 10,
}


@dataclass(frozen=True)
class Account:
    """An account with the tokens of one login."""

    id: str
    email: str
    token: str
    refresh_token: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Key:
    """An API key with its secret."""

    id: str
    organization_id: str
    token: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def path(self) -> str:
        return f"{keys_path(self.organization_id)}/{self.id}"


def new_email() -> str:
    """Return a unique address, because all tests share one SMTP server."""
    return f"{uuid4().hex[:12]}@example.com"


def make_account(client: FlaskClient, *, is_organizer: bool = False, name: str | None = "Ada Lovelace") -> Account:
    """Create an account with a verified email."""
    email, application = new_email(), client.application
    role = MemberRole.ORGANIZER if is_organizer else MemberRole.USER
    with application.app_context():
        tenancy = Tenancy(application.config["ORGANIZER_SIGNUP"])
        created = sign_up(email=email, password=PASSWORD, name=name, role=role, tenancy=tenancy, is_verified=True)
    return log_in(client, Account(str(created.id), email, "", ""))


def make_unverified(client: FlaskClient, email: str | None = None, *, is_organizer: bool = False) -> Account:
    """Sign up with an email that is not verified."""
    email = email or new_email()
    account = {"email": email, "password": PASSWORD, "name": "Sam Squatter", "is_organizer": is_organizer}
    created = client.post(f"{API}/auth/signup", json=account)
    assert created.status_code == 201, created.text
    return log_in(client, Account(created.json["id"], email, "", ""))


def log_in(client: FlaskClient, account: Account) -> Account:
    """Return the account with the tokens of a new login."""
    login = client.post(f"{API}/auth/login", json={"email": account.email, "password": PASSWORD}).json
    return Account(account.id, account.email, login["access_token"], login["refresh_token"])


def verify_email(client: FlaskClient, account: Account) -> Account:
    """Mark the account's email as verified, as an operator could."""
    with client.application.app_context():
        db.session.execute(sa.update(User).where(User.email == account.email).values(email_verified_at=sa.func.now()))
        db.session.commit()
    return account


def make_user(client: FlaskClient) -> Account:
    return make_account(client)


def make_organizer(client: FlaskClient) -> Account:
    return make_account(client, is_organizer=True, name="Olivia Organizer")


def make_owner(client: FlaskClient) -> Account:
    """Create an organizer and make them an owner, as an operator could."""
    owner = verify_email(client, make_organizer(client))
    with client.application.app_context():
        membership = sa.update(Membership).where(Membership.user_id == UUID(owner.id))
        db.session.execute(membership.values(role=MemberRole.OWNER))
        db.session.commit()
    return owner


def make_stranger(client: FlaskClient) -> Account:
    """Create the owner of another organization, even where people cannot create one."""
    stranger = make_owner(client)
    with client.application.app_context():
        organization = Organization(name="Another organization")
        db.session.add(organization)
        db.session.flush()
        membership = sa.update(Membership).where(Membership.user_id == UUID(stranger.id))
        db.session.execute(membership.values(organization_id=organization.id))
        db.session.commit()
    return stranger


def add_to_team(
    client: FlaskClient, organizer: Account, event: Mapping[str, Any], account: Account, role: str = "co_organizer"
) -> Account:
    """Give a member of the organization a role in the team of an event."""
    verify_email(client, account)
    path = f"{API}/events/{event['id']}/team"
    added = client.post(path, headers=organizer.headers, json={"email": account.email, "role": role})
    assert (added.status_code, added.json["is_invited"]) == (201, False), added.text
    return account


def make_event(client: FlaskClient, organizer: Account | None = None, **changes: Any) -> dict[str, Any]:
    """Create an event of `organizer` (default: a new one). `changes` replace fields of `EVENT`."""
    owner = organizer or make_organizer(client)
    created = client.post(f"{API}/events/", headers=owner.headers, json={**EVENT, **changes})
    assert created.status_code == 201, created.text
    event = created.json
    assert isinstance(event, dict)
    return event


def types_path(event: Mapping[str, Any]) -> str:
    return f"{API}/events/{event['id']}/ticket-types"


def make_ticket_type(
    client: FlaskClient, organizer: Account, event: Mapping[str, Any], **fields: Any
) -> dict[str, Any]:
    """Add a ticket type to an event."""
    created = client.post(types_path(event), headers=organizer.headers, json={"name": "Front row", **fields})
    assert created.status_code == 201, created.text
    ticket_type = created.json
    assert isinstance(ticket_type, dict)
    return ticket_type


def ticket_types_of(client: FlaskClient, event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the public ticket types of an event, by position."""
    return list(client.get(types_path(event)).json or [])


def items(*counts: tuple[Mapping[str, Any], int]) -> list[dict[str, Any]]:
    """Return the items of an order for tickets of these types."""
    return [{"ticket_type_id": ticket_type["id"], "count": count} for ticket_type, count in counts]


def keys_path(organization_id: str) -> str:
    return f"{API}/organizations/{organization_id}/api-keys"


def organization_of(client: FlaskClient, account: Account) -> str:
    """Return the ID of the only organization that the account is a member of."""
    with client.application.app_context():
        query = sa.select(Membership.organization_id).where(Membership.user_id == UUID(account.id))
        return str(db.session.scalars(query.where(Membership.role.is_not(None))).one())


ALL_SCOPES = ["events:read", "events:write", "bookings:read", "bookings:write", "check-in"]


def make_key(client: FlaskClient, owner: Account, **changes: Any) -> Key:
    """Create an API key of the owner's organization, by default with all scopes."""
    organization_id = organization_of(client, owner)
    body = {"name": "Website", "scopes": ALL_SCOPES, **changes}
    created = client.post(keys_path(organization_id), headers=owner.headers, json=body)
    assert created.status_code == 201, created.text
    return Key(created.json["id"], organization_id, created.json["secret"])


def book_for_guest(client: FlaskClient, key: Key, event: Mapping[str, Any], **order: Any) -> Any:
    """Send a booking request with an API key and return the response."""
    return book(client, key, event, **{"guest_name": "Grace Hopper", "guest_email": new_email(), **order})


def book(client: FlaskClient, account: Account | Key, event: Mapping[str, Any], **order: Any) -> Any:
    """Send a booking request and return the response."""
    return client.post(f"{API}/bookings/", headers=account.headers, json={"event_id": event["id"], **order})
