"""What people on the team of an event may do, and since when."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, add_to_team, book, make_event, make_organizer, make_user, verify_email
from tests.teams.invitations import accept, emails_to, invite, join_organization, team_of
from tests.tokens import token_sent_to


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer)


def test_a_co_organizer_edits_but_cannot_delete_or_manage_the_team(
    client: FlaskClient, organizer: Account, user: Account, event: dict[str, Any]
) -> None:
    headers = add_to_team(client, organizer, event, make_user(client)).headers
    path = f"{API}/events/{event['id']}"
    booking = f"{API}/bookings/{book(client, user, event).json['id']}"

    allowed = [
        client.patch(path, headers=headers, json={"title": "Quintets"}),
        client.get(f"{path}/bookings", headers=headers),
        client.get(f"{path}/door-list", headers=headers),
        client.patch(booking, headers=headers, json={"ticket_count": 2}),
        client.delete(booking, headers=headers),
    ]
    refused = [
        client.delete(path, headers=headers),
        client.get(f"{path}/team", headers=headers),
        client.post(f"{path}/team", headers=headers, json={"email": user.email, "role": "check_in"}),
        client.post(f"{path}/transfer", headers=headers, json={"email": organizer.email}),
        client.get(f"{API}/users/", headers=headers),
        client.post(f"{API}/events/", headers=headers, json=dict(event_of(event))),
    ]

    assert [response.status_code for response in allowed] == [200] * len(allowed)
    assert [response.json["code"] for response in refused] == ["permission-denied"] * len(refused)


def event_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an event that a client sends."""
    names = ("title", "location", "timezone", "starts_at", "ends_at", "capacity")
    return {name: event[name] for name in names}


def test_a_helper_sees_only_the_door_list(
    client: FlaskClient, organizer: Account, user: Account, event: dict[str, Any]
) -> None:
    headers = add_to_team(client, organizer, event, make_user(client), "check_in").headers
    path = f"{API}/events/{event['id']}"
    booking = f"{API}/bookings/{book(client, user, event).json['id']}"

    seen = client.get(f"{path}/door-list", headers=headers)
    refused = [
        client.get(f"{path}/bookings", headers=headers),
        client.patch(path, headers=headers, json={"title": "Quintets"}),
        client.post(f"{path}/cancel", headers=headers),
        client.delete(path, headers=headers),
        client.get(f"{path}/team", headers=headers),
    ]
    hidden = [
        client.get(booking, headers=headers),
        client.get(f"{booking}/emails", headers=headers),
        client.delete(booking, headers=headers),
    ]

    assert (seen.status_code, len(seen.json or [])) == (200, 1)
    assert [response.json["code"] for response in refused] == ["permission-denied"] * len(refused)
    assert [response.json["code"] for response in hidden] == ["booking-not-found"] * len(hidden)


def test_a_role_in_one_event_gives_no_rights_in_another(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    headers = add_to_team(client, organizer, event, make_user(client)).headers
    other = make_event(client, organizer)

    assert client.get(f"{API}/events/{other['id']}/bookings", headers=headers).status_code == 403


def test_a_helper_can_leave_the_team(
    client: FlaskClient, database: sa.Engine, organizer: Account, event: dict[str, Any]
) -> None:
    helper = add_to_team(client, organizer, event, make_user(client), "check_in")
    path = f"{team_of(event)}/{helper.id}"

    assert client.delete(path, headers=make_user(client).headers).status_code == 403
    assert client.delete(path, headers=helper.headers).status_code == 204

    assert client.get(f"{API}/events/{event['id']}/door-list", headers=helper.headers).status_code == 403
    assert emails_to(database, helper.email)[-1] == "team_changed"


def test_a_changed_or_revoked_role_takes_effect_on_the_next_request(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    member = add_to_team(client, organizer, event, make_user(client))
    path, attendees = f"{team_of(event)}/{member.id}", f"{API}/events/{event['id']}/bookings"
    draft = make_event(client, organizer, status="draft")
    add_to_team(client, organizer, draft, member)

    def statuses() -> list[int]:
        paths = (attendees, f"{API}/events/{event['id']}/door-list", f"{API}/events/{draft['id']}")
        return [client.get(path, headers=member.headers).status_code for path in paths]

    assert statuses() == [200, 200, 200]
    client.patch(path, headers=organizer.headers, json={"role": "check_in"})
    assert statuses() == [403, 200, 200]
    client.delete(path, headers=organizer.headers)
    client.delete(f"{team_of(draft)}/{member.id}", headers=organizer.headers)
    assert statuses() == [403, 403, 404]


def test_being_invited_to_a_team_changes_nothing_else_about_a_person(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    organizer = make_organizer(client)
    other = verify_email(client, make_organizer(client))
    paths = [f"{API}/users/me", f"{API}/users/", f"{API}/users/{other.id}", f"{API}/organizations/"]

    def seen() -> list[tuple[Any, str | None]]:
        responses = [client.get(path, headers=other.headers) for path in paths]
        return [(response.json, response.headers.get("ETag")) for response in responses]

    before = seen()
    invite(client, organizer, make_event(client, organizer), other.email)
    assert seen() == before
    assert accept(client, token_sent_to(client, database, other.email)).status_code == 200
    assert seen()[1:] == before[1:]


@pytest.mark.parametrize("departure", [{"is_active": False}, {"role": "user"}], ids=["deactivated", "demoted"])
def test_a_departed_organizers_events_continue(
    own_organizations: FlaskClient, database: sa.Engine, departure: dict[str, Any]
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    departed, successor = [
        join_organization(client, database, owner, verify_email(client, make_user(client)), "organizer")
        for _ in range(2)
    ]
    event = make_event(client, departed)
    path = f"{API}/events/{event['id']}"
    booking = book(client, make_user(client), event).json

    assert client.patch(f"{API}/users/{departed.id}", headers=owner.headers, json=departure).status_code == 200

    assert client.patch(path, headers=departed.headers, json={"capacity": 20}).status_code == 403
    assert book(client, make_user(client), event).status_code == 201
    assert client.patch(path, headers=owner.headers, json={"capacity": 30}).status_code == 200
    assert client.get(f"{API}/bookings/{booking['id']}", headers=owner.headers).status_code == 200
    transferred = client.post(f"{path}/transfer", headers=owner.headers, json={"user_id": successor.id})
    assert (transferred.status_code, transferred.json["organizer_id"]) == (200, successor.id)
    assert client.delete(path, headers=successor.headers).status_code == 204


def test_a_person_who_lost_access_to_the_organization_has_no_role_in_its_events(
    own_organizations: FlaskClient, database: sa.Engine
) -> None:
    client = own_organizations
    owner = make_organizer(client)
    member = join_organization(client, database, owner, verify_email(client, make_user(client)), "user")
    event, other = make_event(client, owner), make_event(client, owner)
    add_to_team(client, owner, event, member)
    path = f"{API}/events/{event['id']}"
    assert client.patch(path, headers=member.headers, json={"capacity": 20}).status_code == 200

    client.delete(f"{API}/users/{member.id}", headers=owner.headers)

    assert client.patch(path, headers=member.headers, json={"capacity": 30}).status_code == 403
    assert book(client, member, event).json["code"] == "permission-denied"
    refused = invite(client, owner, other, member.email)
    assert (refused.status_code, refused.json["code"]) == (409, "access-revoked")
