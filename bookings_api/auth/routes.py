"""`/auth`: signup, login, logout, password resets, email verification and accepting invitations."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.accounts.profiles import Profile
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
    VerificationSchema,
)
from bookings_api.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidGrant,
    InvalidToken,
    PermissionDenied,
    Unauthenticated,
)
from bookings_api.http.authentication import bearer_token, current_login_id, current_user
from bookings_api.http.blueprint import Blueprint
from bookings_api.http.idempotency import REPLAYED
from bookings_api.http.openapi.examples import COLLEAGUE
from bookings_api.http.rate_limiting.limits import (
    by_account,
    by_client,
    by_email,
    failures,
    of_mailbox,
    shared_mailbox,
    successes,
)
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import Login, MemberRole
from bookings_api.permissions import Tenancy

# The body and headers of a token response
Tokens = tuple[dict[str, Any], dict[str, str]]

# Failed logins are counted for every email, so that the limit does not reveal which emails have accounts. Over the
# limit, even the correct password is rejected. Otherwise an attacker could continue guessing. An attacker can therefore
# prevent new logins to an account for up to 15 minutes (with the default `LOGIN_FAILURE_LIMIT`). Existing logins and
# password resets keep working.
blp = Blueprint("auth", __name__, url_prefix="/auth", description="Sign up, log in, and reset passwords")


def _mailbox(account: dict[str, str]) -> str:
    """Return the rate limit key for password resets: one per email (without `+` suffix), shared by all clients."""
    return f"reset/{of_mailbox(account['email'])}"


def _requester_and_mailbox(account: dict[str, str]) -> str:
    """Return the rate limit key for password resets: one per client and email (without `+` suffix).

    Requests by strangers therefore do not use up the account owner's limit.
    """
    return f"{by_client()}/{_mailbox(account)}"


def _unverified_mailbox(account: dict[str, Any] | None = None, **_: Any) -> str | None:
    """Return the rate limit key for verification emails to addresses with a `+` suffix, or None for other addresses.

    Without this limit, a stranger could flood a person's inbox by signing up with many suffixes.
    """
    mailbox = shared_mailbox(account["email"] if account else current_user.email)
    return mailbox and f"verification/{mailbox}"


def _signed_up(account: dict[str, Any]) -> UUID | None:
    """Return the ID of the account with this email. An earlier attempt at the request may have created the account."""
    return services.find_account(account["email"])


def _knows_password(account: dict[str, Any]) -> bool:
    """Whether a repeated signup contains the account's password."""
    return services.is_password(email=account["email"], password=account["password"])


@blp.route("/signup", methods=["POST"])
@blp.doc(operationId="signup")
@blp.public()
@blp.limited("SIGNUP_LIMIT", by=by_client)
@blp.problems(EmailTaken, PermissionDenied)
@blp.arguments(SignupSchema)
@blp.idempotent(
    UserSchema, replay=lambda user: (HTTPStatus.CREATED, {}), actor_id=_signed_up, may_replay=_knows_password
)
@blp.limited("MAILBOX_LIMIT", by=_unverified_mailbox, counts=successes)
@blp.response(201, UserSchema, headers=REPLAYED)
def signup(account: dict[str, Any], request: IdempotentRequest | None) -> Profile:
    """Create an account.

    You can log in immediately. You also get an email with a token for verifying your address. You cannot sign up as an
    organizer if `ORGANIZER_SIGNUP` is `invite_only`. An organizer must then invite you.

    If you were invited, your account already exists, and you cannot sign up. To get the invitation again, request a
    password reset.
    """
    tenancy = Tenancy(flask.current_app.config["ORGANIZER_SIGNUP"])
    role = MemberRole.ORGANIZER if account.pop("is_organizer") else MemberRole.USER
    if role is MemberRole.ORGANIZER and tenancy is Tenancy.INVITE_ONLY:
        raise PermissionDenied(
            "You cannot sign up as an organizer, because ORGANIZER_SIGNUP is invite_only."
            " Ask an organizer to invite you."
        )
    return services.sign_up(**account, role=role, tenancy=tenancy, request=request)


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
    """Log in with your email and password.

    Returns an access token, which you send with each request, and a refresh token, which you exchange for the next pair
    of tokens. Logging in does not log you out on other devices. If the login fails, the error does not reveal whether
    the account exists. After too many failed attempts, even the correct password is rejected, by default for up to 15
    minutes.
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
    """Log in with the OAuth 2.0 password grant.

    Works like `POST /auth/login`, but for OAuth 2.0 clients (RFC 6749, section 4.3) and Swagger UI's Authorize dialog.
    `username` is your email. Client credentials are ignored.
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
    """Exchange a refresh token for a new pair of tokens.

    Send the refresh token as the bearer token. Each refresh token works only once. If it is used again, all tokens of
    the same login stop working, because the refresh token may have been stolen.
    """
    login_id, jti = read_refresh_token(bearer_token())
    return _tokens_of(services.refresh(login_id=login_id, jti=jti, lifetime=refresh_lifetime()))


@blp.route("/logout", methods=["POST"])
@blp.doc(operationId="logout")
@blp.login_required()
@blp.response(204)
def logout() -> None:
    """Log out.

    The access and refresh tokens of this login stop working immediately. You stay logged in on all other devices.
    """
    services.log_out(login_id=current_login_id())


@blp.route("/verify-email", methods=["POST"])
@blp.doc(operationId="verifyEmail")
@blp.public()
@blp.limited("PASSWORD_LIMIT", by=by_client)
@blp.problems(InvalidToken, EmailTaken)
@blp.arguments(VerificationSchema)
@blp.response(204)
def verify_email(verification: dict[str, str]) -> None:
    """Verify your email with an emailed token.

    Accepts a token from a verification email, or a token that was sent to a new address when you changed your email.
    The token for a new address also replaces your current email, and logs you out everywhere except on the device that
    requested the change. Each token works only once.
    """
    services.confirm_email(**verification)


@blp.route("/verify-email/resend", methods=["POST"])
@blp.doc(operationId="resendVerification")
@blp.login_required()
@blp.limited("MAIL_RESEND_LIMIT", by=by_account())
@blp.limited("MAILBOX_LIMIT", by=_unverified_mailbox)
@blp.response(202)
def resend_verification() -> None:
    """Send the verification email again.

    The email contains a new token, and the earlier token stops working. No email is sent if your address is already
    verified.
    """
    services.resend_verification(user=current_user)


@blp.route("/password-reset", methods=["POST"])
@blp.doc(operationId="requestPasswordReset")
@blp.public()
@blp.limited("PASSWORD_LIMIT", by=by_client)
@blp.arguments(PasswordResetSchema)
@blp.limited("PASSWORD_RESET_LIMIT", by=_requester_and_mailbox)
@blp.limited("MAILBOX_LIMIT", by=_mailbox)
@blp.response(202)
def request_password_reset(account: dict[str, str]) -> None:
    """Request a password reset.

    If an active account has this email, you get an email with a token for setting a new password. If you were invited
    and have no password yet, you get the invitation again. The response does not reveal whether an account with
    this email exists.
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
    """Set a new password with an emailed token.

    Also verifies your email and logs you out on all devices. The token works only once and expires after one hour. If
    you requested several resets, only the token in the latest email is valid.
    """
    services.reset_password(**reset)


@blp.route("/invitations/accept", methods=["POST"])
@blp.doc(operationId="acceptInvitation")
@blp.public()
@blp.limited("PASSWORD_LIMIT", by=by_client)
@blp.problems(InvalidToken)
@blp.arguments(InvitationAcceptSchema)
@blp.response(200, UserSchema, example=UserSchema.example(**COLLEAGUE, email_verified=True, version=2))
def accept_invitation(acceptance: dict[str, str]) -> Profile:
    """Accept an invitation with the emailed token.

    Makes you a member of the organization or event team that you were invited to. If your email is already verified,
    your password and name do not change. Otherwise, accepting verifies your email, sets your password and name, and
    logs you out on all devices. The token works only once and expires after seven days.
    """
    tenancy = Tenancy(flask.current_app.config["ORGANIZER_SIGNUP"])
    return services.accept_invitation(**acceptance, tenancy=tenancy)


def _tokens_of(login: Login) -> Tokens:
    """Return a login's tokens, with a header that forbids caching (RFC 6749, section 5.1)."""
    return issue_tokens(login), {"Cache-Control": "no-store"}
