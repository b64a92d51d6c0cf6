"""Access and refresh tokens: JWTs (RFC 7519), signed with HS256, with the claims in `REQUIRED_CLAIMS`.

The claim `sid` contains the ID of the login. Every request checks in the database that the login is not revoked and the
account is active. The expiry is checked against the local machine's clock.
"""

import time
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import flask
from flask_jwt_extended import create_access_token, create_refresh_token
from jwt import ExpiredSignatureError, PyJWTError, decode

from bookings_api.accounts.actors import actor_of_key, actor_of_login
from bookings_api.errors import InvalidApiKey, LoginEnded, Unauthenticated
from bookings_api.extensions import jwt
from bookings_api.http.rate_limiting.limits import shared_mailbox
from bookings_api.models import Login
from bookings_api.permissions import Actor, Tenancy

ISSUER = "event-booking-api"
ALGORITHM = "HS256"
REQUIRED_CLAIMS = ["exp", "iat", "jti", "sid", "type", "iss", "aud", "sub"]
# How far the clock of the machine that issued a token may be ahead of the local clock (RFC 7519, section 4.1.5)
LEEWAY_SECONDS = 10
# The limit per process
MAX_CACHED_TOKENS = 4096


def init_tokens(app: flask.Flask) -> None:
    """Set up flask-jwt-extended with the configured key and lifetimes."""
    app.config.update(
        JWT_SECRET_KEY=app.config["SECRET_KEY"],
        JWT_ALGORITHM=ALGORITHM,
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=ISSUER,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=app.config["ACCESS_TOKEN_MINUTES"]),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=app.config["REFRESH_TOKEN_DAYS"]),
    )
    jwt.init_app(app)


def refresh_lifetime() -> timedelta:
    lifetime: timedelta = flask.current_app.config["JWT_REFRESH_TOKEN_EXPIRES"]
    return lifetime


def issue_tokens(login: Login) -> dict[str, Any]:
    """Return the body of a token response: an access token, its lifetime in seconds, and the login's refresh token."""
    owner, claims = str(login.user_id), {"sid": str(login.id)}
    actor = actor_of_login(login.id)
    if actor and actor.user and (mailbox := shared_mailbox(actor.user.email)):
        claims["mailbox"] = mailbox
    return {
        "access_token": create_access_token(owner, additional_claims=claims),
        "refresh_token": create_refresh_token(owner, additional_claims=claims | {"jti": str(login.refresh_jti)}),
        "token_type": "bearer",
        "expires_in": flask.current_app.config["ACCESS_TOKEN_MINUTES"] * 60,
    }


def authenticate(token: str) -> tuple[Actor, UUID]:
    """Verify an access token. Returns the account and the ID of the login.

    Raises `Unauthenticated`, or `LoginEnded` if the login was revoked or the account is inactive.
    """
    _, login_id, _ = verify_access_token(token)
    actor = actor_of_login(login_id, tenancy=Tenancy(flask.current_app.config["ORGANIZER_SIGNUP"]))
    if actor is None:
        raise LoginEnded
    return actor, login_id


def authenticate_key(secret_hash: bytes) -> Actor:
    """Return the API key whose secret has this hash. Raises `InvalidApiKey`."""
    actor = actor_of_key(secret_hash)
    if actor is None:
        raise InvalidApiKey
    return actor


def verify_access_token(token: str) -> tuple[UUID, UUID, str | None]:
    """Verify an access token. Returns the account's ID, the login's ID and the claim `mailbox` (see `shared_mailbox`).

    Does not query the database. The caller must check in its own query that the login has not ended. Raises
    `Unauthenticated`.
    """
    claims = _claims(token, "access")
    return UUID(claims["sub"]), UUID(claims["sid"]), claims.get("mailbox")


def read_refresh_token(token: str) -> tuple[UUID, UUID]:
    """Verify a refresh token. Returns the login's ID and the token's ID (`jti`). Raises `Unauthenticated`."""
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
        raise Unauthenticated(f"Wrong type of token. Send the {kind} token.")
    return claims


@lru_cache(maxsize=MAX_CACHED_TOKENS)
def _verified(token: str, secret_key: str) -> dict[str, Any]:
    """Return the claims of a valid token. The caller must check the expiry again, because the result is cached."""
    # uses PyJWT directly, because flask-jwt-extended fills in missing claims
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
