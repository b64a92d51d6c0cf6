"""Access and refresh tokens: JWT (RFC 7519), HS256 only, with exp, iat, jti, sid, type, iss and aud.

A token names a login (`sid`). Whether that login is revoked, whether the account is active, and its role, is read
from the database at every request, in the one round trip that reads the account; or in the one that does the work,
when that is a single statement (`recall`).
"""

import threading
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import flask
from flask_jwt_extended import create_access_token, create_refresh_token
from jwt import ExpiredSignatureError, PyJWTError, decode

from bookings_api.accounts.logins import user_of_login
from bookings_api.errors import Unauthenticated
from bookings_api.extensions import jwt
from bookings_api.models import Login, User

ISSUER = "event-booking-api"
ALGORITHM = "HS256"
REQUIRED_CLAIMS = ["exp", "iat", "jti", "sid", "type", "iss", "aud", "sub"]
# How far the clock of the machine that issued a token may be ahead of ours (RFC 7519, section 4.1.5).
LEEWAY_SECONDS = 10
# Of each process: tokens that were verified, and accounts by login.
MAX_REMEMBERED = 4096

_seen: dict[UUID, User] = {}
_lock = threading.Lock()


def init_tokens(app: flask.Flask) -> None:
    """Bind flask-jwt-extended, with the key and the lifetimes of the configuration."""
    app.config.update(
        JWT_SECRET_KEY=app.config["SECRET_KEY"],
        JWT_ALGORITHM=ALGORITHM,
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=ISSUER,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=app.config["ACCESS_TOKEN_MINUTES"]),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=app.config["REFRESH_TOKEN_DAYS"]),
    )
    jwt.init_app(app)


def access_lifetime() -> timedelta:
    lifetime: timedelta = flask.current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    return lifetime


def refresh_lifetime() -> timedelta:
    lifetime: timedelta = flask.current_app.config["JWT_REFRESH_TOKEN_EXPIRES"]
    return lifetime


def issue_tokens(login: Login) -> dict[str, Any]:
    """What a client gets for a login: an access token, the one refresh token that is good, and seconds to go."""
    owner, claims = str(login.user_id), {"sid": str(login.id)}
    return {
        "access_token": create_access_token(owner, additional_claims=claims),
        "refresh_token": create_refresh_token(owner, additional_claims=claims | {"jti": str(login.refresh_jti)}),
        "token_type": "bearer",
        "expires_in": int(access_lifetime().total_seconds()),
    }


def authenticate(token: str) -> tuple[User, UUID]:
    """The active account that an access token was issued to, and the id of its login.

    Raises `Unauthenticated`, whatever is wrong with the token.
    """
    login_id = UUID(_claims(token, "access")["sid"])
    user = user_of_login(login_id)
    if user is None:
        _seen.pop(login_id, None)
        raise Unauthenticated("This login is over; please log in again.")
    with _lock:
        _seen[login_id] = User.of_row(id=user.id, email=user.email, name=user.name)
        if len(_seen) > MAX_REMEMBERED:
            del _seen[next(iter(_seen))]
    return user, login_id


def recall(token: str) -> tuple[User, UUID]:
    """As `authenticate`, but the account may be as this process saw it last, and the login may be over.

    Of such an account only id, address and name are known. For who writes only if both are still so, in the very
    statement that writes.
    """
    login_id = UUID(_claims(token, "access")["sid"])
    user = _seen.get(login_id)
    return authenticate(token) if user is None else (user, login_id)


def read_refresh_token(token: str) -> tuple[UUID, UUID]:
    """Id of the login, and of the refresh token itself. Raises `Unauthenticated`."""
    claims = _claims(token, "refresh")
    return UUID(claims["sid"]), UUID(claims["jti"])


def _claims(token: str, kind: str) -> dict[str, Any]:
    try:
        claims = _verified(token, flask.current_app.config["SECRET_KEY"])
    except ExpiredSignatureError:
        raise Unauthenticated(f"The {kind} token has expired.") from None
    except (PyJWTError, ValueError, AttributeError):
        raise Unauthenticated(f"The {kind} token is not valid.") from None
    if claims["exp"] <= time.time():
        raise Unauthenticated(f"The {kind} token has expired.")
    if claims["type"] != kind:
        raise Unauthenticated(f"This is not a token for {kind}.")
    return claims


@lru_cache(maxsize=MAX_REMEMBERED)
def _verified(token: str, secret_key: str) -> dict[str, Any]:
    """The claims of a token that was good when it was first seen, and is good until `exp`.

    A client sends the same one with each request, and what it says never changes. Whether the login that it names is
    over is another question, asked each time.
    """
    # PyJWT itself, because flask-jwt-extended fills in claims that are missing
    claims: dict[str, Any] = decode(
        token,
        secret_key,
        algorithms=[ALGORITHM],
        issuer=ISSUER,
        audience=ISSUER,
        leeway=LEEWAY_SECONDS,
        options={"require": REQUIRED_CLAIMS},
    )
    for name in ("sub", "sid", "jti"):
        UUID(claims[name])
    return claims
