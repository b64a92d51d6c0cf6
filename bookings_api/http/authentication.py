"""Authenticates requests by a bearer token (RFC 6750), which is an access token or an API key.

`create_app` passes functions of `accounts.tokens` to `init_authentication`, because `http` must not import `accounts`.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import flask
from werkzeug.local import LocalProxy

from bookings_api.errors import PermissionDenied, Unauthenticated
from bookings_api.models import ApiKey, User
from bookings_api.models.api_key import HINT_LENGTH, SECRET_PREFIX, hash_secret
from bookings_api.permissions import ORGANIZERS_ONLY, Action, Actor, may, require_key_may

_AUTHENTICATE, _AUTHENTICATE_KEY, _VERIFY = (
    f"bookings_api.{name}" for name in ("authenticate", "authenticate_key", "verify")
)

# The caller in operations with `login_required`. Operations with `login_optional` use `viewer()`.
current_actor: Actor = LocalProxy(lambda: flask.g.actor)  # type: ignore[assignment] # a proxy for it
# The caller's account in operations that refuse API keys.
current_user: User = LocalProxy(lambda: flask.g.actor.user)  # type: ignore[assignment] # a proxy for it


def init_authentication(
    app: flask.Flask,
    authenticate: Callable[[str], tuple[Actor, UUID]],
    authenticate_key: Callable[[bytes], Actor],
    verify: Callable[[str], tuple[UUID, UUID, str | None]],
) -> None:
    """Register the functions of `accounts.tokens` that authenticate requests."""
    app.extensions[_AUTHENTICATE] = authenticate
    app.extensions[_AUTHENTICATE_KEY] = authenticate_key
    app.extensions[_VERIFY] = verify


def viewer() -> Actor | None:
    """Return the caller, or None if the request is anonymous."""
    actor: Actor | None = flask.g.get("actor")
    return actor


def current_key() -> ApiKey:
    """Return the API key that sent the request. Call `require_actor` first."""
    key: ApiKey = flask.g.actor.key
    return key


def current_actor_id() -> str:
    """Return the ID of the caller's account or API key. For an API key, call `require_actor` first."""
    return current_user_id() or str(current_actor.id)


def current_user_id() -> str | None:
    """Return the ID of the caller's account, or None for an API key or an anonymous request."""
    user_id: str | None = flask.g.get("user_id")
    return user_id


def current_login_id() -> UUID:
    """Return the ID of the caller's login. Requires an access token."""
    login_id: UUID = flask.g.current_login_id
    return login_id


def current_key_hash() -> bytes | None:
    """Return the hash of the request's API key, or None if the request has no API key."""
    key_hash: bytes | None = flask.g.get("key_hash")
    return key_hash


def bearer_token() -> str:
    """Return the request's bearer token. Raises `Unauthenticated` if the request has no bearer token."""
    scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Send a token as `Authorization: Bearer TOKEN`.")
    return token.strip()


def require_actor(action: Action | None = None, *, with_key: Action | None = None) -> None:
    """Load the account or API key that sent the request, and check its permissions.

    Raises `Unauthenticated` if the token is missing or invalid. Raises `PermissionDenied` for an account that may not
    perform `action` in any organization, and for an API key that may not perform `with_key`. If `with_key` is None, all
    API keys are refused.
    """
    load_actor()
    actor = flask.g.actor
    require_key_may(actor, with_key)
    if action and actor.key is None and not may(actor, action):
        raise PermissionDenied(ORGANIZERS_ONLY)


def load_actor() -> None:
    """Load the account or API key that sent the request. Raises `Unauthenticated` without a valid token."""
    forget_actor()
    if _is_key(token := bearer_token()):
        key_hash = hash_secret(token)
        flask.g.actor = _run(_AUTHENTICATE_KEY, key_hash)
        _remember_key(token, key_hash)
    else:
        flask.g.actor, flask.g.current_login_id = _run(_AUTHENTICATE, token)
        flask.g.user_id = str(flask.g.actor.id)


def allow_anonymous() -> None:
    """Load the caller if the request has an `Authorization` header. Raises `Unauthenticated` for an invalid token."""
    if "Authorization" in flask.request.headers:
        load_actor()


def require_token() -> None:
    """Verify an access token's signature and expiry, but not its login. Accept any API key.

    The service must check that the login has not ended, or that the API key is valid. Raises `Unauthenticated` if the
    token is missing or is an invalid access token.
    """
    forget_actor()
    if _is_key(token := bearer_token()):
        _remember_key(token, hash_secret(token))
        return
    user_id, flask.g.current_login_id, flask.g.shared_mailbox = _run(_VERIFY, token)
    flask.g.user_id = str(user_id)


def require_login(*, with_key: Action | None = None) -> None:
    """Load the caller after `require_token`. Does nothing for anonymous requests.

    Raises `Unauthenticated` if the login has ended or the API key is invalid. Raises `PermissionDenied` for an API key
    that may not perform `with_key`.
    """
    if viewer() is None and (current_user_id() or current_key_hash()):
        require_actor(with_key=with_key)


def forget_actor() -> None:
    """Forget who sent this request, so that no view or log line refers to the caller."""
    pop = flask.g.pop  # looked up once, because `flask.g` is a slow proxy
    for name in ("actor", "current_login_id", "user_id", "shared_mailbox", "key_hash", "key_hint"):
        pop(name, None)


def _is_key(token: str) -> bool:
    return token.startswith(SECRET_PREFIX)


def _remember_key(secret: str, key_hash: bytes) -> None:
    flask.g.key_hash, flask.g.key_hint = key_hash, secret[:HINT_LENGTH]


def _run(function: str, token: Any) -> Any:
    bound: Callable[[Any], Any] = flask.current_app.extensions[function]
    return bound(token)
