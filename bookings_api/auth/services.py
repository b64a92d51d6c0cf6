"""Signing up, logging in and out, and everything about passwords."""

from datetime import timedelta
from functools import partial
from uuid import UUID

from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.auth import queries
from bookings_api.auth.passwords import hash_password, verify_password
from bookings_api.auth.sessions import begin_session, revoke_session, revoke_sessions_of, spend_refresh_token
from bookings_api.errors import EmailTaken, InvalidCredentials, InvalidToken, Unauthenticated, WrongPassword
from bookings_api.extensions import db
from bookings_api.mail import outbox, tasks
from bookings_api.models import MailKind, Role, Session, TokenPurpose, User, utcnow
from bookings_api.single_use import issue_token, spend_token
from bookings_api.transactions import transaction


def sign_up(*, email: str, password: str, name: str | None = None, role: Role = Role.USER) -> User:
    """Create an account. Raises `EmailTaken` when the address has one, in whatever case."""
    user = User(email=email, name=name, password_hash=hash_password(password), role=role)
    try:
        with transaction():
            db.session.add(user)
    except IntegrityError as error:
        # asking first would be a race; the unique index is the judge
        if isinstance(error.orig, UniqueViolation):
            raise EmailTaken from error
        raise
    return user


def log_in(*, email: str, password: str, lifetime: timedelta) -> Session:
    """A new login, whose refresh token lasts for `lifetime`.

    Raises `InvalidCredentials`, never saying what is wrong.
    """
    user = queries.user_by_email(email)
    if not verify_password(user.password_hash if user else None, password) or user is None or not user.is_active:
        raise InvalidCredentials
    with transaction():
        return begin_session(user, expires_at=utcnow() + lifetime)


def refresh(*, session_id: UUID, jti: UUID, lifetime: timedelta) -> Session:
    """The login with a new refresh token in place of the one named `jti`, which is spent.

    Raises `Unauthenticated` for a token that is spent already, and ends the login: either the thief or the owner
    has used it before, and nobody can tell who is who (RFC 9700, section 4.14.2).
    """
    with transaction():
        session = spend_refresh_token(session_id, jti, expires_at=utcnow() + lifetime)
        if session is None:
            revoke_session(session_id)
    if session is None:
        raise Unauthenticated("The refresh token was used before, or the login is over; please log in again.")
    return session


def log_out(*, session_id: UUID) -> None:
    """End a login."""
    with transaction():
        revoke_session(session_id)


def change_password(*, user: User, session_id: UUID, current_password: str, new_password: str) -> None:
    """Change one's own password, which ends every other login. Raises `WrongPassword`."""
    if not verify_password(user.password_hash, current_password):
        raise WrongPassword
    password_hash = hash_password(new_password)
    with transaction():
        user.password_hash = password_hash
        revoke_sessions_of(user, except_for=session_id)


def request_password_reset(*, email: str) -> None:
    """Mail a token to the account of that address; for an address without one, do nothing and say nothing."""
    user = queries.user_by_email(email)
    if user is None or not user.is_active or user.is_invited:
        return
    with transaction() as tx:
        mail = outbox.put(
            kind=MailKind.PASSWORD_RESET,
            recipient=user.email,
            facts={"name": user.name, "token_id": str(issue_token(user, TokenPurpose.PASSWORD_RESET))},
            user_id=user.id,
        )
        tx.after_commit(partial(tasks.enqueue, mail))


def reset_password(*, token: str, password: str) -> None:
    """Set the password of the account that the token was mailed to, and end its logins. Raises `InvalidToken`."""
    password_hash = hash_password(password)
    with transaction():
        user = spend_token(token, TokenPurpose.PASSWORD_RESET)
        if user is None:
            raise InvalidToken
        user.password_hash = password_hash
        revoke_sessions_of(user)


def accept_invitation(*, token: str, password: str, name: str | None = None) -> User:
    """Make an invited account the person's own. Raises `InvalidToken`."""
    password_hash = hash_password(password)
    with transaction():
        user = spend_token(token, TokenPurpose.INVITATION)
        if user is None:
            raise InvalidToken
        user.password_hash = password_hash
        user.name = name or user.name
        user.version += 1
    return user
