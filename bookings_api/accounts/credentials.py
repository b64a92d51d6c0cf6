"""Changes an account's password, or verifies its email. Lock the account first."""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.accounts.locks import lock_account
from bookings_api.accounts.memberships import bump_versions
from bookings_api.accounts.one_time_tokens import revoke_tokens
from bookings_api.accounts.passwords import verify_password
from bookings_api.errors import InvalidCredentials
from bookings_api.models import TokenPurpose, User


def lock_verified_account(user_id: UUID, password_hash: str | None, password: str) -> User:
    """Lock an account after its password was verified against `password_hash`.

    Verify the password before you call this, because hashing is slow and other requests wait for the lock. Raises
    `InvalidCredentials` if the password has changed since then or the account is inactive.
    """
    user = lock_account(user_id)
    if user is None or not user.is_active:
        raise InvalidCredentials
    # A concurrent login may have renewed the hash. This is rare, so verifying the password under the lock is fine.
    if user.password_hash != password_hash and not verify_password(user.password_hash, password):
        raise InvalidCredentials
    return user


def set_password(user: User, password_hash: str) -> None:
    """Set an account's password. Revokes the account's tokens for password resets and email changes."""
    revoke_tokens(user, TokenPurpose.PASSWORD_RESET, TokenPurpose.EMAIL_CHANGE)
    user.password_hash = password_hash


def verify_email(user: User) -> None:
    """Mark an account's email as verified. Revokes the account's verification tokens."""
    if not user.email_verified:
        revoke_tokens(user, TokenPurpose.EMAIL_VERIFICATION)
        user.email_verified_at = sa.func.now()
        bump_versions(user)
