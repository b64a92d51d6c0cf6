"""Reads the bearer token (RFC 6750) and keeps the account and the login of the request for its view."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import flask
from werkzeug.local import LocalProxy

from bookings_api.errors import PermissionDenied, Unauthenticated
from bookings_api.models import User

# Turns an access token into the active account and the ID of the login. Raises `Unauthenticated`.
Authenticate = Callable[[str], tuple[User, UUID]]
# Turns an access token into the IDs of account and login, without checking whether the login has ended.
Verify = Callable[[str], tuple[UUID, UUID]]

_AUTHENTICATE, _VERIFY = "bookings_api.authenticate", "bookings_api.verify"

# The account of the request, behind `login_required`; with `login_optional` use `viewer()`.
current_user: User = LocalProxy(lambda: flask.g.current_user)  # type: ignore[assignment]


def init_authentication(app: flask.Flask, authenticate: Authenticate, verify: Verify) -> None:
    """Bind the functions that read access tokens."""
    app.extensions[_AUTHENTICATE] = authenticate
    app.extensions[_VERIFY] = verify


def viewer() -> User | None:
    """The account of the request, or None if it is anonymous."""
    user: User | None = flask.g.get("current_user")
    return user


def current_user_id() -> str:
    """The ID of the account of the request, behind `login_required` or `token_required`."""
    user_id: str = flask.g.user_id
    return user_id


def current_login_id() -> UUID:
    """The login of the request, behind `login_required` or `token_required`."""
    login_id: UUID = flask.g.current_login_id
    return login_id


def bearer_token() -> str:
    """The token of the Authorization header. Raises `Unauthenticated` if the header has none."""
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Send a token as `Authorization: Bearer TOKEN`.")
    return token.strip()


def require_user(*, organizer: bool = False) -> None:
    """Raise `Unauthenticated` without a valid login; with `organizer`, `PermissionDenied` for other roles."""
    forget_user()
    user, flask.g.current_login_id = _read(_AUTHENTICATE)
    flask.g.current_user = user
    flask.g.user_id = str(user.id)
    if organizer and not user.is_organizer:
        raise PermissionDenied("Only organizers may do that.")


def accept_user() -> None:
    """Let anonymous requests in; raise `Unauthenticated` for a token that is sent but not valid."""
    if "Authorization" in flask.request.headers:
        require_user()


def require_token() -> None:
    """Raise `Unauthenticated` without a valid access token. Whether its login has ended is checked later."""
    forget_user()
    user_id, flask.g.current_login_id = _read(_VERIFY)
    flask.g.user_id = str(user_id)


def forget_user() -> None:
    """Drop what an earlier check has found, so that no view or log line uses it."""
    for name in ("current_user", "current_login_id", "user_id"):
        flask.g.pop(name, None)


def _read(way: str) -> tuple[Any, UUID]:
    read: Callable[[str], tuple[Any, UUID]] = flask.current_app.extensions[way]
    return read(bearer_token())
