"""`/auth`: signing up, logging in and out, forgotten passwords, invitations."""

from typing import Any

import flask

from bookings_api.accounts.schemas import UserSchema
from bookings_api.accounts.tokens import issue_tokens, read_refresh_token, refresh_lifetime
from bookings_api.auth import services
from bookings_api.auth.schemas import (
    InvitationAcceptSchema,
    LoginSchema,
    PasswordGrantSchema,
    PasswordResetConfirmSchema,
    PasswordResetSchema,
    SignupSchema,
    TokenSchema,
)
from bookings_api.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidGrant,
    InvalidToken,
    PermissionDenied,
    Unauthenticated,
)
from bookings_api.http.authentication import bearer_token, current_login_id
from bookings_api.http.blueprint import Blueprint
from bookings_api.http.openapi.examples import COLLEAGUE
from bookings_api.http.rate_limiting.limits import by_client, by_email, failures
from bookings_api.models import Login, Role, User

# a body for TokenSchema, and headers
Tokens = tuple[dict[str, Any], dict[str, str]]

# Wrong passwords are counted for the account alone, from whatever addresses they come, and whether there is such an
# account or not, which so is not told. When there are too many, the right password is refused, too: an answer to it
# would tell the guesser that it is the right one. So anybody can lock an owner out, for the 15 minutes at most that
# began with the first wrong password (what is refused is not counted); logins that are open go on, and a reset by mail
# stays possible.
blp = Blueprint("auth", __name__, url_prefix="/auth", description="Accounts, logins and passwords")


@blp.route("/signup", methods=["POST"])
@blp.doc(operationId="signup")
@blp.public()
@blp.limited("SIGNUP_LIMIT", by=by_client)
@blp.problems(EmailTaken, PermissionDenied)
@blp.arguments(SignupSchema)
@blp.response(201, UserSchema)
def signup(account: dict[str, Any]) -> User:
    """Create an account.

    It can log in at once. As an organizer only where the operator lets people sign up as one; elsewhere organizers are
    invited. An address that was invited has an account already: whoever reads its mail comes in by a password reset.
    """
    role = Role.ORGANIZER if account.pop("is_organizer") else Role.USER
    if role is Role.ORGANIZER and flask.current_app.config["ORGANIZER_SIGNUP"] != "open":
        raise PermissionDenied("Organizers are invited here; please ask one of them.")
    return services.sign_up(**account, role=role)


@blp.route("/login", methods=["POST"])
@blp.doc(operationId="login")
@blp.public()
@blp.limited("LOGIN_LIMIT", by=by_client)
@blp.problems(InvalidCredentials)
@blp.arguments(LoginSchema)
@blp.limited("LOGIN_ACCOUNT_LIMIT", by=by_email("email"))
@blp.limited("LOGIN_FAILURE_LIMIT", by=by_email("email"), counts=failures(InvalidCredentials))
@blp.response(200, TokenSchema)
def login(credentials: dict[str, str]) -> Tokens:
    """Log in with e-mail and password.

    The answer has an access token, which each request of this login carries, and a refresh token for the next pair. It
    does not say which of the two was wrong, nor whether there is such an account. After too many wrong passwords even
    the right one is refused for some minutes; logins that are open go on.
    """
    return _tokens_of(services.log_in(**credentials, lifetime=refresh_lifetime()))


@blp.route("/token", methods=["POST"])
@blp.doc(operationId="token")
@blp.public()
@blp.limited("LOGIN_LIMIT", by=by_client)
@blp.problems(InvalidGrant)
@blp.arguments(PasswordGrantSchema, location="form")
@blp.limited("LOGIN_ACCOUNT_LIMIT", by=by_email("username"))
@blp.limited("LOGIN_FAILURE_LIMIT", by=by_email("username"), counts=failures(InvalidGrant))
@blp.response(200, TokenSchema)
def token(grant: dict[str, str]) -> Tokens:
    """Log in with an OAuth2 password form.

    The same as `login`, for Swagger UI's Authorize dialog and for OAuth2 clients (RFC 6749, section 4.3): `username` is
    the e-mail address, and the client fields are not looked at.
    """
    credentials = {"email": grant["username"], "password": grant["password"]}
    try:
        return _tokens_of(services.log_in(**credentials, lifetime=refresh_lifetime()))
    except InvalidCredentials as error:
        raise InvalidGrant from error


@blp.route("/refresh", methods=["POST"])
@blp.doc(operationId="refresh", security=[{"refresh": []}])
@blp.problems(Unauthenticated)
@blp.response(200, TokenSchema)
def refresh() -> Tokens:
    """Exchange the refresh token for a new pair.

    It is sent as bearer token, in the place of an access token, and works once. One that is used again ends the login,
    since somebody may have stolen it.
    """
    login_id, jti = read_refresh_token(bearer_token())
    return _tokens_of(services.refresh(login_id=login_id, jti=jti, lifetime=refresh_lifetime()))


@blp.route("/logout", methods=["POST"])
@blp.doc(operationId="logout")
@blp.login_required()
@blp.response(204)
def logout() -> None:
    """End this login.

    Its access and refresh tokens are worth nothing from the very next request on. Other logins of the account go on.
    """
    services.log_out(login_id=current_login_id())


@blp.route("/password-reset", methods=["POST"])
@blp.doc(operationId="requestPasswordReset")
@blp.public()
@blp.limited("PASSWORD_LIMIT", by=by_client)
@blp.arguments(PasswordResetSchema)
@blp.limited("PASSWORD_RESET_LIMIT", by=by_email("email"))
@blp.response(202)
def request_password_reset(account: dict[str, str]) -> None:
    """Have a token mailed that sets a new password.

    Who was invited and has not accepted yet gets the invitation again. The answer is the same whether the address has
    an account or not.
    """
    services.request_password_reset(**account)


@blp.route("/password-reset/confirm", methods=["POST"])
@blp.doc(operationId="confirmPasswordReset")
@blp.public()
@blp.limited("PASSWORD_LIMIT", by=by_client)
@blp.problems(InvalidToken)
@blp.arguments(PasswordResetConfirmSchema)
@blp.response(204)
def confirm_password_reset(reset: dict[str, str]) -> None:
    """Set a new password with the token of the mail.

    That ends every login of the account. The token works once, and only the latest that was mailed.
    """
    services.reset_password(**reset)


@blp.route("/invitations/accept", methods=["POST"])
@blp.doc(operationId="acceptInvitation")
@blp.public()
@blp.limited("PASSWORD_LIMIT", by=by_client)
@blp.problems(InvalidToken)
@blp.arguments(InvitationAcceptSchema)
@blp.response(200, UserSchema, example=UserSchema.example(**COLLEAGUE, version=2))
def accept_invitation(acceptance: dict[str, str]) -> User:
    """Accept an invitation with the token of the mail.

    It sets one's password, and one's name if it is given; from then on the account can log in. The token works once.
    """
    return services.accept_invitation(**acceptance)


def _tokens_of(login: Login) -> Tokens:
    """The token response, which nobody on the way may keep (RFC 6749, section 5.1)."""
    return issue_tokens(login), {"Cache-Control": "no-store"}
