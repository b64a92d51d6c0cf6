"""Signing up, logging in and out, and everything about passwords."""

from datetime import timedelta
from uuid import UUID

from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.accounts import queries
from bookings_api.accounts.locks import lock_account
from bookings_api.accounts.logins import (
    begin_login,
    revoke_login,
    revoke_logins_of,
    spend_refresh_token,
    user_of_login,
)
from bookings_api.accounts.one_time_tokens import owner_of_token, withdraw_tokens
from bookings_api.accounts.passwords import hash_password, needs_rehash, verify_password
from bookings_api.database.transactions import end_reading, transaction
from bookings_api.errors import EmailTaken, InvalidCredentials, InvalidToken, Unauthenticated, WrongPassword
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import EmailKind, Login, Role, TokenPurpose, User, utcnow


def sign_up(*, email: str, password: str, name: str | None = None, role: Role = Role.USER) -> User:
    """Create an account. Raises `EmailTaken` when the address has one, in whatever case."""
    taken = queries.user_by_email(email) is not None
    end_reading()
    if taken:
        raise EmailTaken
    user = User(email=email, name=name, password_hash=hash_password(password), role=role)
    try:
        with transaction():
            db.session.add(user)
    except IntegrityError as error:
        # somebody else was faster; the unique index is the judge, asking first only spares the usual case
        if isinstance(error.orig, UniqueViolation):
            raise EmailTaken from error
        raise
    return user


def log_in(*, email: str, password: str, lifetime: timedelta) -> Login:
    """A new login, whose refresh token lasts for `lifetime`; a hash made at another cost is made anew.

    Raises `InvalidCredentials`, never saying what is wrong.
    """
    found = queries.user_by_email(email)
    user_id, password_hash = (found.id, found.password_hash) if found and found.is_active else (None, None)
    end_reading()
    if not verify_password(password_hash, password) or user_id is None or password_hash is None:
        raise InvalidCredentials
    renewed = hash_password(password) if needs_rehash(password_hash) else None
    with transaction():
        account = _require_unchanged(user_id, password_hash, password)
        if renewed:
            account.password_hash = renewed
        return begin_login(user_id, expires_at=utcnow() + lifetime)


def refresh(*, login_id: UUID, jti: UUID, lifetime: timedelta) -> Login:
    """The login with a new refresh token in place of the one named `jti`, which is spent.

    Raises `Unauthenticated` for a token that is spent already, and ends the login: either the thief or the owner
    has used it before, and nobody can tell who is who (RFC 9700, section 4.14.2).
    """
    with transaction():
        login = spend_refresh_token(login_id, jti, expires_at=utcnow() + lifetime)
        if login is None:
            revoke_login(login_id)
    if login is None:
        raise Unauthenticated("The refresh token was used before, or the login is over; please log in again.")
    return login


def log_out(*, login_id: UUID) -> None:
    """End a login."""
    with transaction():
        revoke_login(login_id)


def change_password(*, user: User, login_id: UUID, current_password: str, new_password: str) -> None:
    """Change one's own password, which ends every other login, and withdraws a reset that was asked for.

    Raises `WrongPassword`, and `InvalidCredentials` if the password or the login was taken away meanwhile.
    """
    user_id, present = user.id, user.password_hash
    end_reading()
    if not verify_password(present, current_password):
        raise WrongPassword
    password_hash = hash_password(new_password)
    with transaction():
        account = _require_unchanged(user_id, present, current_password)
        if user_of_login(login_id) is None:
            raise InvalidCredentials
        _set_password(account, password_hash)
        revoke_logins_of(account, except_for=login_id)


def request_password_reset(*, email: str) -> None:
    """Mail a token to the account of that address.

    Whether it has one is looked up when the mail is sent (`mail.resets`), so that the answer takes as long either way.
    """
    with transaction() as tx:
        outbox.queue_email(tx, kind=EmailKind.PASSWORD_RESET, recipient=email, payload={})


def reset_password(*, token: str, password: str) -> None:
    """Set the password of the account that the token was mailed to, and end its logins. Raises `InvalidToken`."""
    password_hash = hash_password(password)
    with transaction():
        user = owner_of_token(token, TokenPurpose.PASSWORD_RESET)
        if user is None or not user.is_active:
            raise InvalidToken
        _set_password(user, password_hash)
        revoke_logins_of(user)


def accept_invitation(*, token: str, password: str, name: str | None = None) -> User:
    """Make an invited account the person's own. Raises `InvalidToken`."""
    password_hash = hash_password(password)
    with transaction():
        user = owner_of_token(token, TokenPurpose.INVITATION)
        if user is None or not user.is_active or not user.is_invited:
            raise InvalidToken
        withdraw_tokens(user, TokenPurpose.INVITATION)
        user.password_hash = password_hash
        user.name = name or user.name
        user.version += 1
    return user


def _require_unchanged(user_id: UUID, password_hash: str | None, password: str) -> User:
    """The locked account, if the password that was verified before the lock is still its own."""
    user = lock_account(user_id)
    if user is None or not user.is_active:
        raise InvalidCredentials
    # another hash may be one that a login made anew meanwhile, so seldom that it may be verified under the lock
    if user.password_hash != password_hash and not verify_password(user.password_hash, password):
        raise InvalidCredentials
    return user


def _set_password(user: User, password_hash: str) -> None:
    withdraw_tokens(user, TokenPurpose.PASSWORD_RESET)
    user.password_hash = password_hash
