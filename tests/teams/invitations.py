"""Invites people to the team of an event over HTTP, and accepts invitations."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import OutboxEmail
from tests.factories import API, Account
from tests.tokens import token_sent_to

NEW_PASSWORD = "another horse battery"


def team_of(event: Mapping[str, Any]) -> str:
    """Return the URL of an event's team."""
    return f"{API}/events/{event['id']}/team"


def invite(
    client: FlaskClient, organizer: Account, event: Mapping[str, Any], email: str, role: str = "co_organizer"
) -> Any:
    """Send a request that adds a person to the team, and return the response."""
    return client.post(team_of(event), headers=organizer.headers, json={"email": email, "role": role})


def accept(client: FlaskClient, token: str, **acceptance: str) -> Any:
    return client.post(f"{API}/auth/invitations/accept", json={"token": token, **acceptance})


def join_organization(client: FlaskClient, database: sa.Engine, owner: Account, account: Account, role: str) -> Account:
    """Invite an account with a verified address to the owner's organization, and accept."""
    invited = client.post(f"{API}/users/", headers=owner.headers, json={"email": account.email, "role": role})
    assert invited.status_code == 201, invited.text
    assert accept(client, token_sent_to(client, database, account.email)).status_code == 200
    return account


def emails_to(database: sa.Engine, address: str) -> list[str]:
    """Return the kinds of the emails to an address, oldest first."""
    with database.connect() as connection:
        emails = sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == address).order_by(OutboxEmail.id)
        return [kind.value for kind in connection.scalars(emails)]
