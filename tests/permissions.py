"""Every caller of the permission table, and a valid request for every operation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import (
    API,
    EVENT,
    PASSWORD,
    Account,
    Key,
    add_to_team,
    book,
    make_event,
    make_key,
    make_organizer,
    make_owner,
    make_stranger,
    make_ticket_type,
    make_unverified,
    make_user,
    new_email,
    verify_email,
)
from tests.tokens import token_sent_to

GUEST = {"guest_name": "Grace Hopper", "guest_email": "grace@example.com"}

NEW_PASSWORD = "another horse battery"

METHODS = {"get", "post", "put", "patch", "delete"}


@dataclass(frozen=True)
class Scene:
    """An organizer's event, a user's booking for it (a hold), and the account that sends the request."""

    client: FlaskClient
    database: sa.Engine
    user: Account
    responsible: Account
    caller: Account | Key | None
    event: Mapping[str, Any]
    booking: Mapping[str, Any]
    key: Key
    ticket_type: Mapping[str, Any]

    @property
    def ids(self) -> Mapping[str, str]:
        """The values of path parameters."""
        return {
            "user_id": self.user.id,
            "event_id": self.event["id"],
            "booking_id": self.booking["id"],
            "organization_id": self.event["organization_id"],
            "key_id": self.key.id,
            "type_id": self.ticket_type["id"],
        }


# Creates the caller of a scene, given the scene without one.
Caller = Callable[[Scene], Account | None]


def _deactivated(scene: Scene) -> Account:
    """A deactivated organizer with an earlier login, so only the deactivation can cause a refusal."""
    account = make_organizer(scene.client)
    assert scene.client.get(f"{API}/users/me", headers=account.headers).status_code == 200
    assert scene.client.delete(f"{API}/users/{account.id}", headers=scene.responsible.headers).status_code == 204
    return account


def _on_team(role: str) -> Caller:
    return lambda scene: add_to_team(scene.client, scene.responsible, scene.event, make_user(scene.client), role)


CALLERS: Mapping[str, Caller] = {
    "anon": lambda scene: None,
    "user": lambda scene: scene.user,
    "other": lambda scene: make_user(scene.client),
    "helper": _on_team("check_in"),
    "co-org": _on_team("co_organizer"),
    "organizer": lambda scene: make_organizer(scene.client),
    "responsible": lambda scene: scene.responsible,
    "owner": lambda scene: make_owner(scene.client),
    "stranger": lambda scene: make_stranger(scene.client),
    "inactive": _deactivated,
}


def make_scenes(client: FlaskClient, database: sa.Engine, *callers: str) -> Mapping[str, Scene]:
    """Create one scene, as seen by each of `callers`."""
    user, responsible = verify_email(client, make_user(client)), make_organizer(client)
    event = make_event(client, responsible)
    booking, key = book(client, user, event, hold_minutes=10).json, make_key(client, responsible)
    # not on sale, so that an order needs no items
    early = make_ticket_type(client, responsible, event, name="Early bird", sales_close_at="2020-01-01T00:00:00Z")
    scene = Scene(client, database, user, responsible, None, event, booking, key, early)
    return {caller: replace(scene, caller=CALLERS[caller](scene)) for caller in callers}


def make_scene(client: FlaskClient, database: sa.Engine, caller: str) -> Scene:
    return make_scenes(client, database, caller)[caller]


def _user_on_team(scene: Scene) -> Mapping[str, Any]:
    """Put the scene's user on the team of the event, unless an earlier request has done so."""
    member = {"email": scene.user.email, "role": "check_in"}
    path = f"{API}/events/{scene.event['id']}/team"
    assert scene.client.post(path, headers=scene.responsible.headers, json=member).status_code in {201, 409}
    return {}


def _confirmed(scene: Scene) -> Mapping[str, Any]:
    """Confirm the scene's booking, unless an earlier request has done so."""
    path = f"{API}/bookings/{scene.booking['id']}/confirm"
    confirmed = scene.client.post(path, headers=scene.responsible.headers, json={})
    assert confirmed.status_code == 200, confirmed.text
    return {}


# The test client's arguments for each request, besides the path and the access token.
REQUESTS: Mapping[str, Callable[[Scene], Mapping[str, Any]]] = {
    "signup": lambda scene: {"json": {"email": new_email(), "password": PASSWORD}},
    "login": lambda scene: {"json": {"email": scene.user.email, "password": PASSWORD}},
    "token": lambda scene: {"data": {"username": scene.user.email, "password": PASSWORD}},
    "refresh": lambda scene: {"headers": _refresh_header(scene.caller)},
    "requestPasswordReset": lambda scene: {"json": {"email": scene.user.email}},
    "confirmPasswordReset": lambda scene: {"json": {"token": _reset_token(scene), "password": NEW_PASSWORD}},
    "acceptInvitation": lambda scene: {"json": {"token": _invitation_token(scene), "password": NEW_PASSWORD}},
    "verifyEmail": lambda scene: {"json": {"token": _verification_token(scene)}},
    "changeProfile": lambda scene: {"json": {"name": "Grace Hopper"}},
    "deleteAccount": lambda scene: {"json": {"current_password": PASSWORD, "cancel_bookings": True}},
    "changePassword": lambda scene: {"json": {"current_password": PASSWORD, "new_password": NEW_PASSWORD}},
    "inviteUser": lambda scene: {"json": {"email": new_email()}},
    "changeUser": lambda scene: {"json": {"name": "Grace Hopper", "role": "organizer"}},
    "createEvent": lambda scene: {"json": dict(EVENT)},
    "changeEvent": lambda scene: {"json": {"location": "Philharmonie", "capacity": 20}},
    "createTicketType": lambda scene: {"json": {"name": "Front row"}},
    "changeTicketType": lambda scene: {"json": {"name": "Front row"}},
    "changeOrganization": lambda scene: {"json": {"name": "Berlin Concerts"}},
    "createApiKey": lambda scene: {"json": {"name": "Website", "scopes": ["bookings:write"]}},
    "changeApiKey": lambda scene: {"json": {"name": "Box office"}},
    "rotateApiKey": lambda scene: {"json": {}},
    "addTeamMember": lambda scene: {"json": {"email": new_email(), "role": "check_in"}},
    "getTeamMember": _user_on_team,
    "changeTeamMember": lambda scene: {**_user_on_team(scene), "json": {"role": "co_organizer"}},
    "removeTeamMember": _user_on_team,
    "transferEvent": lambda scene: {"json": {"email": verify_email(scene.client, make_organizer(scene.client)).email}},
    "createBooking": lambda scene: {"json": {"event_id": scene.event["id"], **GUEST}},
    "changeBooking": lambda scene: {"json": {"ticket_count": 2}},
    "confirmBooking": lambda scene: {"json": {}},
    "resendConfirmation": _confirmed,
}


# Method, path and documentation of each operation, by operation ID.
Operations = Mapping[str, tuple[str, str, Mapping[str, Any]]]


def documented_operations(client: FlaskClient) -> Operations:
    return {
        operation["operationId"]: (method, path, operation)
        for path, item in client.get(f"{API}/openapi.json").json["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def send(scene: Scene, operation_id: str, method: str, path: str, headers: Mapping[str, str] | None = None) -> Any:
    """Send a valid request as the scene's caller, with additional headers."""
    request: dict[str, Any] = {"headers": scene.caller.headers if scene.caller else {}}
    if operation_id in REQUESTS:
        request |= REQUESTS[operation_id](scene)
    request["headers"] = {**request["headers"], **(headers or {})}
    return scene.client.open(path.format_map(scene.ids), method=method, **request)


def _refresh_header(caller: Account | Key | None) -> Mapping[str, str]:
    if isinstance(caller, Account):
        return {"Authorization": f"Bearer {caller.refresh_token}"}
    return caller.headers if caller else {}


def _reset_token(scene: Scene) -> str:
    asked = scene.client.post(f"{API}/auth/password-reset", json={"email": scene.user.email})
    assert asked.status_code == 202
    return token_sent_to(scene.client, scene.database, scene.user.email)


def _verification_token(scene: Scene) -> str:
    return token_sent_to(scene.client, scene.database, make_unverified(scene.client).email)


def _invitation_token(scene: Scene) -> str:
    address = new_email()
    invited = scene.client.post(f"{API}/users/", headers=scene.responsible.headers, json={"email": address})
    assert invited.status_code == 201
    return token_sent_to(scene.client, scene.database, address)
