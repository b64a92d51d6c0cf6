"""Every caller of the permission table, and a valid request for every operation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import (
    API,
    EVENT,
    PASSWORD,
    Account,
    book,
    make_event,
    make_organizer,
    make_unverified,
    make_user,
    new_email,
    verify_email,
)
from tests.tokens import token_sent_to

NEW_PASSWORD = "another horse battery"

METHODS = {"get", "post", "put", "patch", "delete"}


@dataclass(frozen=True)
class Scene:
    """An owner's event, a user's booking for it, and the account that sends the request."""

    client: FlaskClient
    database: sa.Engine
    user: Account
    owner: Account
    caller: Account | None
    event: Mapping[str, Any]
    booking: Mapping[str, Any]

    @property
    def ids(self) -> Mapping[str, str]:
        """The values of path parameters."""
        return {"user_id": self.user.id, "event_id": self.event["id"], "booking_id": self.booking["id"]}


# Creates the caller of a scene, given its user and its owner.
Caller = Callable[[FlaskClient, Account, Account], Account | None]


def _deactivated(client: FlaskClient, user: Account, owner: Account) -> Account:
    """A deactivated organizer with an earlier login, so only the deactivation can cause a refusal."""
    account = make_organizer(client)
    assert client.get(f"{API}/users/me", headers=account.headers).status_code == 200
    assert client.delete(f"{API}/users/{account.id}", headers=owner.headers).status_code == 204
    return account


CALLERS: Mapping[str, Caller] = {
    "anonymous": lambda client, user, owner: None,
    "user": lambda client, user, owner: user,
    "other-user": lambda client, user, owner: make_user(client),
    "organizer": lambda client, user, owner: make_organizer(client),
    "owner": lambda client, user, owner: owner,
    "deactivated": _deactivated,
}


def make_scenes(client: FlaskClient, database: sa.Engine, *callers: str) -> Mapping[str, Scene]:
    """Create one scene, as seen by each of `callers`."""
    user, owner = verify_email(client, make_user(client)), make_organizer(client)
    event = make_event(client, owner)
    booking = book(client, user, event).json
    accounts = {caller: CALLERS[caller](client, user, owner) for caller in callers}
    return {caller: Scene(client, database, user, owner, accounts[caller], event, booking) for caller in callers}


def make_scene(client: FlaskClient, database: sa.Engine, caller: str) -> Scene:
    return make_scenes(client, database, caller)[caller]


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
    "createBooking": lambda scene: {"json": {"event_id": scene.event["id"]}},
    "changeBooking": lambda scene: {"json": {"ticket_count": 2}},
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


def _refresh_header(account: Account | None) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {account.refresh_token}"} if account else {}


def _reset_token(scene: Scene) -> str:
    asked = scene.client.post(f"{API}/auth/password-reset", json={"email": scene.user.email})
    assert asked.status_code == 202
    return token_sent_to(scene.client, scene.database, scene.user.email)


def _verification_token(scene: Scene) -> str:
    return token_sent_to(scene.client, scene.database, make_unverified(scene.client).email)


def _invitation_token(scene: Scene) -> str:
    address = new_email()
    invited = scene.client.post(f"{API}/users/", headers=scene.owner.headers, json={"email": address})
    assert invited.status_code == 201
    return token_sent_to(scene.client, scene.database, address)
