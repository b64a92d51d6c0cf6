"""Access tokens: JWT (RFC 7519), HS256 only, with exp, iat, jti, type, iss and aud.

A token says who somebody is; whether the account is still active, and its role, is read from the database at
every request.
"""

from datetime import timedelta
from uuid import UUID

import flask
from flask_jwt_extended import create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import ExpiredSignatureError, PyJWTError

from bookings_api.errors import Unauthenticated
from bookings_api.extensions import db, jwt
from bookings_api.models import User

ISSUER = "event-booking-api"
REQUIRED_CLAIMS = frozenset({"exp", "iat", "jti", "type", "iss", "aud", "sub"})


def init_tokens(app: flask.Flask) -> None:
    """Bind flask-jwt-extended, with `SECRET_KEY` and `ACCESS_TOKEN_MINUTES` of the configuration."""
    app.config.update(
        JWT_SECRET_KEY=app.config["SECRET_KEY"],
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=ISSUER,
        JWT_DECODE_AUDIENCE=ISSUER,
        JWT_TOKEN_LOCATION=["headers"],
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=app.config["ACCESS_TOKEN_MINUTES"]),
    )
    jwt.init_app(app)


def issue_access_token(user: User) -> str:
    """A signed access token for `user`."""
    token: str = create_access_token(identity=str(user.id))
    return token


def authenticate(token: str) -> User:
    """The active account that an access token was issued to. Raises `Unauthenticated`, whatever is wrong with it."""
    try:
        claims = decode_token(token)
    except ExpiredSignatureError:
        raise Unauthenticated("The access token has expired.") from None
    except (PyJWTError, JWTExtendedException, UnicodeError):
        raise Unauthenticated("The access token is not valid.") from None
    if not claims.keys() >= REQUIRED_CLAIMS or claims["type"] != "access":
        raise Unauthenticated("This is not an access token.")
    user = db.session.get(User, _uuid_or_nil(claims["sub"]))
    if user is None or not user.is_active:
        raise Unauthenticated("The account of this token does not exist or is not active.")
    return user


def _uuid_or_nil(text: str) -> UUID:
    """The nil UUID, which nobody has, for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
