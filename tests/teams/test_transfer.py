"""Making another organizer responsible for an event."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import (
    API,
    Account,
    add_to_team,
    make_event,
    make_organizer,
    make_owner,
    make_stranger,
    make_user,
    verify_email,
)
from tests.teams.invitations import emails_to


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer)


@pytest.fixture
def successor(client: FlaskClient) -> Account:
    return verify_email(client, make_organizer(client))


def _transfer(client: FlaskClient, sender: Account, event: dict[str, Any], **person: str) -> Any:
    return client.post(f"{API}/events/{event['id']}/transfer", headers=sender.headers, json=person)


def test_the_new_organizer_manages_the_event_and_is_notified(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any], successor: Account
) -> None:
    transferred = _transfer(client, organizer, event, email=successor.email)

    assert (transferred.status_code, transferred.json["organizer_id"]) == (200, successor.id)
    assert transferred.json["version"] == event["version"] + 1
    assert transferred.json["contact_name"] == event["contact_name"]
    path = f"{API}/events/{event['id']}"
    assert client.patch(path, headers=organizer.headers, json={"capacity": 20}).status_code == 403
    assert client.patch(path, headers=successor.headers, json={"capacity": 20}).status_code == 200
    assert emails_to(database, successor.email)[-1] == "team_changed"


def test_an_owner_can_take_over_an_event(client: FlaskClient, event: dict[str, Any]) -> None:
    owner = make_owner(client)

    assert _transfer(client, owner, event, user_id=owner.id).json["organizer_id"] == owner.id


def test_the_new_organizer_leaves_the_team(
    client: FlaskClient, organizer: Account, event: dict[str, Any], successor: Account
) -> None:
    add_to_team(client, organizer, event, successor)

    _transfer(client, organizer, event, user_id=successor.id)

    assert client.get(f"{API}/events/{event['id']}/team", headers=successor.headers).json == []


def test_transferring_to_the_responsible_organizer_changes_nothing(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    assert _transfer(client, organizer, event, user_id=organizer.id).json == event


def test_only_an_active_organizer_with_a_verified_email_can_be_responsible(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    unverified, inactive = make_organizer(client), make_organizer(client)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE users SET email_verified_at = NULL WHERE id = :id"), {"id": unverified.id})
    client.delete(f"{API}/users/{inactive.id}", headers=organizer.headers)
    addresses = [make_user(client).email, inactive.email, make_stranger(client).email, "nobody@example.com"]

    refusals = [_transfer(client, organizer, event, email=address) for address in addresses]
    refusal = _transfer(client, organizer, event, email=unverified.email)

    assert {(response.status_code, response.json["code"]) for response in refusals} == {(409, "not-an-organizer")}
    assert (refusal.status_code, refusal.json["code"]) == (409, "email-not-verified")
    assert client.get(f"{API}/events/{event['id']}").json["organizer_id"] == organizer.id


@pytest.mark.parametrize(
    "person", [{}, {"email": "ada@example.com", "user_id": "019df20d-8a52-7b40-8c13-6d94e2f7a05c"}]
)
def test_the_new_organizer_is_given_by_id_or_by_email(
    client: FlaskClient, organizer: Account, event: dict[str, Any], person: dict[str, str]
) -> None:
    response = _transfer(client, organizer, event, **person)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == ["email"]
