"""Services that let operators deactivate and activate accounts."""

from uuid import UUID

from bookings_api.accounts.locks import lock_account
from bookings_api.accounts.logins import revoke_logins_of
from bookings_api.accounts.memberships import bump_versions, memberships_of, settle_keys
from bookings_api.accounts.one_time_tokens import revoke_tokens
from bookings_api.database.transactions import Transaction, transaction
from bookings_api.errors import UserNotFound
from bookings_api.inventory.waiting_list import access_restored
from bookings_api.mail import outbox
from bookings_api.models import EmailKind, TokenPurpose, User
from bookings_api.permissions import Tenancy
from bookings_api.users.services import log_change, require_other_leaders


def deactivate_account(user_id: UUID, *, tenancy: Tenancy) -> None:
    """Revoke an account's logins and prevent new logins. Keeps the account's data.

    Transfers the account's API keys to another owner, or revokes them. Notifies the person by email, unless they have
    no password yet. Raises `UserNotFound`. Raises `LastOwner` or `LastOrganizer` if an organization would have no owner
    or organizer left.
    """
    with transaction() as tx:
        require_other_leaders(tenancy, user_id)
        user = _set_access(tx, user_id, tenancy, is_active=False)
        for membership in memberships_of(user_id):
            settle_keys(user_id, membership.organization_id)
        revoke_logins_of(user)
        revoke_tokens(user, *TokenPurpose)
    log_change(None, user_id, {"is_active": "False"})


def activate_account(user_id: UUID, *, tenancy: Tenancy) -> None:
    """Let a person with a deactivated account log in again. Raises `UserNotFound`.

    Notifies the person by email, unless they have no password yet. With a single organization, also restores the
    account's access to the organization. Otherwise, access that an organization has revoked stays revoked.
    """
    with transaction() as tx, access_restored(tx, user_id):
        _set_access(tx, user_id, tenancy, is_active=True)
    log_change(None, user_id, {"is_active": "True"})


def _set_access(tx: Transaction, user_id: UUID, tenancy: Tenancy, *, is_active: bool) -> User:
    user = lock_account(user_id)
    if user is None:
        raise UserNotFound
    user.is_active = is_active
    if tenancy.is_single:
        for membership in memberships_of(user_id):
            membership.is_active = is_active
    bump_versions(user)
    if not user.is_invited:
        outbox.queue_email(
            tx,
            kind=EmailKind.ACCESS_CHANGED,
            recipient=user.email,
            payload={"name": user.name, "is_active": is_active, "organization_id": None},
            user_id=user.id,
        )
    return user
