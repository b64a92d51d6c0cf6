"""Access tokens: JWT (RFC 7519), HS256 only, with exp, iat, jti, type, iss and aud.

A token says who somebody is; whether the account is still active, and its role, is read from the database at
every request.
"""

from datetime import timedelta
from uuid import UUID

import flask
from flask_jwt_extended import create_access_token
from jwt import ExpiredSignatureError, PyJWTError, decode

from bookings_api.errors import Unauthenticated
from bookings_api.extensions import db, jwt
from bookings_api.models import User

ISSUER = "event-booking-api"
ALGORITHM = "HS256"
REQUIRED_CLAIMS = ["exp", "iat", "jti", "type", "iss", "aud", "sub"]


def init_tokens(app: flask.Flask) -> None:
    """Bind flask-jwt-extended, with `SECRET_KEY` and `ACCESS_TOKEN_MINUTES` of the configuration."""
    app.config.update(
        JWT_SECRET_KEY=app.config["SECRET_KEY"],
        JWT_ALGORITHM=ALGORITHM,
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=ISSUER,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=app.config["ACCESS_TOKEN_MINUTES"]),
    )
    jwt.init_app(app)


def issue_access_token(user: User) -> str:
    """A signed access token for `user`."""
    token: str = create_access_token(identity=str(user.id))
    return token


def authenticate(token: str) -> User:
    """The active account that an access token was issued to. Raises `Unauthenticated`, whatever is wrong with it."""
    # PyJWT itself, because flask-jwt-extended fills in claims that are missing
    try:
        claims = decode(
            token,
            flask.current_app.config["SECRET_KEY"],
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=ISSUER,
            options={"require": REQUIRED_CLAIMS},
        )
        user_id = UUID(claims["sub"])
    except ExpiredSignatureError:
        raise Unauthenticated("The access token has expired.") from None
    except (PyJWTError, ValueError):
        raise Unauthenticated("The access token is not valid.") from None
    if claims["type"] != "access":
        raise Unauthenticated("This is not an access token.")
    user = db.session.get(User, user_id)
    if user is None or not user.is_active:
        raise Unauthenticated("The account of this token does not exist or is not active.")
    return user
