"""Authenticates requests by the bearer token in their `Authorization` header (RFC 6750).

`accounts.tokens` verifies the token and finds its account. `create_app` passes in its functions, because `http` must
not import `accounts`.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import flask
from werkzeug.local import LocalProxy

from bookings_api.errors import PermissionDenied, Unauthenticated
from bookings_api.models import User
from bookings_api.permissions import Action, Actor, may

_AUTHENTICATE, _VERIFY = "bookings_api.authenticate", "bookings_api.verify"

# The caller, in operations with `login_required`. Operations with `login_optional` use `viewer()`.
current_actor: Actor = LocalProxy(lambda: flask.g.actor)  # type: ignore[assignment] # a proxy for it
# The account, in operations that refuse API keys.
current_user: User = LocalProxy(lambda: flask.g.actor.user)  # type: ignore[assignment] # a proxy for it


def init_authentication(
    app: flask.Flask,
    authenticate: Callable[[str], tuple[Actor, UUID]],
    verify: Callable[[str], tuple[UUID, UUID, str | None]],
) -> None:
    """Register `accounts.tokens.authenticate` and `accounts.tokens.verify_access_token` for requests."""
    app.extensions[_AUTHENTICATE] = authenticate
    app.extensions[_VERIFY] = verify


def viewer() -> Actor | None:
    """Return the caller, or None if the request is anonymous."""
    actor: Actor | None = flask.g.get("actor")
    return actor


def current_user_id() -> str:
    """Return the ID of the caller's account. Requires `login_required` or `token_required`."""
    user_id: str = flask.g.user_id
    return user_id


def current_login_id() -> UUID:
    """Return the ID of the caller's login. Requires `login_required` or `token_required`."""
    login_id: UUID = flask.g.current_login_id
    return login_id


def bearer_token() -> str:
    """Return the request's bearer token. Raises `Unauthenticated` if it has none."""
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Send a token as `Authorization: Bearer TOKEN`.")
    return token.strip()


def require_actor(action: Action | None = None) -> None:
    """Load the caller. Raises `Unauthenticated`, and `PermissionDenied` unless they may do `action` somewhere."""
    forget_actor()
    actor, flask.g.current_login_id = _read_token(_AUTHENTICATE)
    flask.g.actor = actor
    flask.g.user_id = str(actor.id)
    if action and not may(actor, action):
        raise PermissionDenied("Only organizers may do that.")


def allow_anonymous() -> None:
    """Load the caller's account if the request has a token. Raises `Unauthenticated` for an invalid one."""
    if "Authorization" in flask.request.headers:
        require_actor()


def require_token() -> None:
    """Verify the access token. Raises `Unauthenticated`. The service checks later whether the login has ended."""
    forget_actor()
    user_id, flask.g.current_login_id, flask.g.shared_mailbox = _read_token(_VERIFY)
    flask.g.user_id = str(user_id)


def require_login() -> None:
    """Check the login after `require_token`. Raises `Unauthenticated` if it has ended."""
    if viewer() is None and flask.g.get("user_id"):
        require_actor()


def forget_actor() -> None:
    """Clear the caller's data from an earlier check, so that neither views nor log lines use it."""
    for name in ("actor", "current_login_id", "user_id", "shared_mailbox"):
        flask.g.pop(name, None)


def _read_token(function: str) -> Any:
    read: Callable[[str], Any] = flask.current_app.extensions[function]
    return read(bearer_token())
