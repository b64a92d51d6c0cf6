"""Services that let users change their own accounts."""

from typing import Any
from uuid import UUID

from bookings_api.accounts.actors import actor_of_login
from bookings_api.accounts.credentials import lock_verified_account, set_password
from bookings_api.accounts.locks import lock_account
from bookings_api.accounts.logins import revoke_logins_of
from bookings_api.accounts.memberships import bump_versions, roles_of
from bookings_api.accounts.one_time_tokens import issue_token, revoke_tokens
from bookings_api.accounts.passwords import hash_password, verify_password
from bookings_api.accounts.profiles import Profile, profile_of
from bookings_api.accounts.queries import user_by_email
from bookings_api.database.transactions import Precondition, Transaction, end_reading, no_precondition, transaction
from bookings_api.errors import EmailTaken, InvalidCredentials, InvalidFields, UserNotFound, WrongPassword
from bookings_api.mail import outbox
from bookings_api.models import EmailKind, TokenPurpose, User


def change_profile(
    *, user: User, login_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> Profile:
    """Change the user's name or email. A new email takes effect when the user verifies it with an emailed token.

    Raises `WrongPassword` or `EmailTaken`. Raises `InvalidFields` if the changes contain a new email but no password.
    """
    email, password = changes.get("email"), changes.get("current_password")
    if email:
        require_password(user, password)
    with transaction() as tx:
        user = _locked(user)
        precondition(user)
        if changes.get("name", user.name) != user.name:
            user.name = changes["name"]
            bump_versions(user)
        if email and email != user.email:
            _confirm_new_email(tx, user, email, login_id=login_id)
        roles = roles_of(user.id)
    return profile_of(user, roles)


def require_password(user: User, password: str | None) -> None:
    """Raise `WrongPassword` if the password is incorrect, or `InvalidFields` if it is missing."""
    if password is None:
        raise InvalidFields({"current_password": "Required for this change."})
    password_hash = user.password_hash
    end_reading()
    if not verify_password(password_hash, password):
        raise WrongPassword


def _confirm_new_email(tx: Transaction, user: User, email: str, *, login_id: UUID) -> None:
    taken = user_by_email(email)
    if taken and taken.id != user.id:
        raise EmailTaken
    revoke_tokens(user, TokenPurpose.EMAIL_CHANGE)
    token_id = issue_token(user, TokenPurpose.EMAIL_CHANGE, subject_id=login_id, new_email=email)
    outbox.queue_email(
        tx,
        kind=EmailKind.EMAIL_CHANGE,
        recipient=email,
        payload={"name": user.name, "token_id": str(token_id)},
        user_id=user.id,
    )


def change_password(*, user: User, login_id: UUID, current_password: str, new_password: str) -> None:
    """Change the user's password, and revoke their other logins and their tokens for password resets and email changes.

    Raises `WrongPassword`, or `InvalidCredentials` if the password has changed or the login has ended in the meantime.
    """
    user_id, old_hash = user.id, user.password_hash
    end_reading()
    if not verify_password(old_hash, current_password):
        raise WrongPassword
    password_hash = hash_password(new_password)
    with transaction():
        account = lock_verified_account(user_id, old_hash, current_password)
        if actor_of_login(login_id) is None:
            raise InvalidCredentials
        set_password(account, password_hash)
        revoke_logins_of(account, except_for=login_id)


def _locked(user: User) -> User:
    locked = lock_account(user.id)
    if locked is None:
        raise UserNotFound
    return locked
