"""`/auth`: signing up, logging in."""

from typing import Any

import flask

from bookings_api.auth import services
from bookings_api.auth.schemas import LoginSchema, PasswordGrantSchema, SignupSchema, TokenSchema
from bookings_api.auth.tokens import issue_access_token
from bookings_api.errors import EmailTaken, InvalidCredentials, InvalidGrant
from bookings_api.http.blueprint import Blueprint
from bookings_api.models import Role, User
from bookings_api.users.schemas import UserSchema

blp = Blueprint("auth", __name__, url_prefix="/auth", description="Accounts and access tokens")

# a body for TokenSchema, and headers
Token = tuple[dict[str, Any], dict[str, str]]


@blp.route("/signup", methods=["POST"])
@blp.doc(operationId="signup")
@blp.public()
@blp.problems(EmailTaken)
@blp.arguments(SignupSchema)
@blp.response(201, UserSchema)
def signup(account: dict[str, Any]) -> User:
    """Create an account."""
    role = Role.ORGANIZER if account.pop("is_organizer") else Role.USER
    return services.sign_up(**account, role=role)


@blp.route("/login", methods=["POST"])
@blp.doc(operationId="login")
@blp.public()
@blp.problems(InvalidCredentials)
@blp.arguments(LoginSchema)
@blp.response(200, TokenSchema)
def login(credentials: dict[str, str]) -> Token:
    """Exchange e-mail and password for an access token."""
    return _tokens_for(services.log_in(**credentials))


@blp.route("/token", methods=["POST"])
@blp.doc(operationId="token")
@blp.public()
@blp.problems(InvalidGrant)
@blp.arguments(PasswordGrantSchema, location="form")
@blp.response(200, TokenSchema)
def token(grant: dict[str, str]) -> Token:
    """Log in with an OAuth2 password form.

    For Swagger UI's Authorize dialog and OAuth2 clients; `username` is the e-mail address.
    """
    try:
        return _tokens_for(services.log_in(email=grant["username"], password=grant["password"]))
    except InvalidCredentials as error:
        raise InvalidGrant from error


def _tokens_for(user: User) -> Token:
    """The token response, which nobody on the way may keep (RFC 6749, section 5.1)."""
    lifetime = flask.current_app.config["JWT_ACCESS_TOKEN_EXPIRES"]
    body = {
        "access_token": issue_access_token(user),
        "token_type": "bearer",
        "expires_in": int(lifetime.total_seconds()),
    }
    return body, {"Cache-Control": "no-store"}
