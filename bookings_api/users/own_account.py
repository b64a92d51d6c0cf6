"""Use cases: users change their own accounts."""

from typing import Any
from uuid import UUID

from bookings_api.accounts.actors import actor_of_login
from bookings_api.accounts.credentials import lock_verified_account, set_password
from bookings_api.accounts.locks import lock_account
from bookings_api.accounts.logins import revoke_logins_of
from bookings_api.accounts.memberships import notice_change, roles_of
from bookings_api.accounts.passwords import hash_password, verify_password
from bookings_api.accounts.profiles import Profile, profile_of
from bookings_api.database.transactions import Precondition, end_reading, no_precondition, transaction
from bookings_api.errors import InvalidCredentials, UserNotFound, WrongPassword
from bookings_api.models import User


def change_profile(*, user: User, changes: dict[str, Any], precondition: Precondition = no_precondition) -> Profile:
    """Change the user's own name."""
    with transaction():
        user = _locked(user)
        precondition(user)
        if changes.get("name", user.name) != user.name:
            user.name = changes["name"]
            notice_change(user)
        roles = roles_of(user.id)
    return profile_of(user, roles)


def change_password(*, user: User, login_id: UUID, current_password: str, new_password: str) -> None:
    """Change the user's password, end their other logins and revoke pending password resets.

    Raises `WrongPassword`, and `InvalidCredentials` if the password or the login has changed in the meantime.
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
