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

_AUTHENTICATE, _VERIFY = "bookings_api.authenticate", "bookings_api.verify"

# The caller's account, in operations with `login_required`. Operations with `login_optional` use `viewer()`.
current_user: User = LocalProxy(lambda: flask.g.current_user)  # type: ignore[assignment] # a proxy for it


def init_authentication(
    app: flask.Flask,
    authenticate: Callable[[str], tuple[User, UUID]],
    verify: Callable[[str], tuple[UUID, UUID, str | None]],
) -> None:
    """Bind `accounts.tokens.authenticate` and `accounts.tokens.verify_access_token`."""
    app.extensions[_AUTHENTICATE] = authenticate
    app.extensions[_VERIFY] = verify


def viewer() -> User | None:
    """Return the caller's account, or None if the request is anonymous."""
    user: User | None = flask.g.get("current_user")
    return user


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


def require_user(*, organizer: bool = False) -> None:
    """Load the caller's account. Raises `Unauthenticated`, and `PermissionDenied` if it lacks the required role."""
    forget_user()
    user, flask.g.current_login_id = _read_token(_AUTHENTICATE)
    flask.g.current_user = user
    flask.g.user_id = str(user.id)
    if organizer and not user.is_organizer:
        raise PermissionDenied("Only organizers may do that.")


def allow_anonymous() -> None:
    """Load the caller's account if the request has a token. Raises `Unauthenticated` for an invalid one."""
    if "Authorization" in flask.request.headers:
        require_user()


def require_token() -> None:
    """Verify the access token. Raises `Unauthenticated`. The service checks later whether the login has ended."""
    forget_user()
    user_id, flask.g.current_login_id, flask.g.shared_mailbox = _read_token(_VERIFY)
    flask.g.user_id = str(user_id)


def forget_user() -> None:
    """Clear the caller's data from an earlier check, so that neither views nor log lines use it."""
    for name in ("current_user", "current_login_id", "user_id", "shared_mailbox"):
        flask.g.pop(name, None)


def _read_token(function: str) -> Any:
    read: Callable[[str], Any] = flask.current_app.extensions[function]
    return read(bearer_token())
