"""Who sends this request: reads the bearer token (RFC 6750) and keeps account and login for the view."""

from collections.abc import Callable
from uuid import UUID

import flask
from werkzeug.local import LocalProxy

from bookings_api.errors import PermissionDenied, Unauthenticated
from bookings_api.models import User

# Turns an access token into the active account and the id of the login; raises `Unauthenticated`.
Authenticate = Callable[[str], tuple[User, UUID]]

_AUTHENTICATE, _RECALL = "bookings_api.authenticate", "bookings_api.recall"

# The account of the request, behind `login_required`; with `login_optional` use `viewer()`.
current_user: User = LocalProxy(lambda: flask.g.current_user)  # type: ignore[assignment]


def init_authentication(app: flask.Flask, authenticate: Authenticate, recall: Authenticate) -> None:
    """Let `authenticate` decide what an access token is worth; `recall` says what it was worth when last seen."""
    app.extensions[_AUTHENTICATE] = authenticate
    app.extensions[_RECALL] = recall


def viewer() -> User | None:
    """The account of the request, or None for an anonymous one."""
    user: User | None = flask.g.get("current_user")
    return user


def current_login_id() -> UUID:
    """The login of the request, behind `login_required`."""
    login_id: UUID = flask.g.current_login_id
    return login_id


def bearer_token() -> str:
    """The token of the Authorization header. Raises `Unauthenticated` when there is none."""
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Send a token as `Authorization: Bearer TOKEN`.")
    return token.strip()


def require_user(*, organizer: bool = False) -> None:
    """Raise `Unauthenticated` without a valid token; with `organizer`, `PermissionDenied` for other roles."""
    user = _enter(_AUTHENTICATE)
    if organizer and not user.is_organizer:
        raise PermissionDenied("Only organizers may do that.")


def accept_user() -> None:
    """Let anonymous requests in; raise `Unauthenticated` for a token that is sent but not valid."""
    if "Authorization" in flask.request.headers:
        require_user()


def recall_user() -> None:
    """As `require_user`, but as this process saw the account and the login last; both may have changed."""
    _enter(_RECALL)


def _enter(way: str) -> User:
    identify: Authenticate = flask.current_app.extensions[way]
    for name in ("current_user", "current_login_id", "user_id"):  # what was taken for true before
        flask.g.pop(name, None)
    user, flask.g.current_login_id = identify(bearer_token())
    flask.g.current_user = user
    # for the log: the account itself would be read again after a rollback
    flask.g.user_id = str(user.id)
    return user
