"""Use cases: organizers manage all accounts, and users manage their own."""

import logging
from typing import Any
from uuid import UUID

from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.accounts.credentials import lock_verified_account, set_password
from bookings_api.accounts.locks import lock_account, lock_account_by_email, lock_active_organizers
from bookings_api.accounts.logins import revoke_logins_of, user_of_login
from bookings_api.accounts.one_time_tokens import issue_token, revoke_tokens
from bookings_api.accounts.passwords import hash_password, verify_password
from bookings_api.database.changes import apply_changes
from bookings_api.database.transactions import Precondition, Transaction, end_reading, no_precondition, transaction
from bookings_api.errors import EmailTaken, InvalidCredentials, LastOrganizer, UserNotFound, WrongPassword
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.mail import outbox
from bookings_api.models import EmailKind, Role, TokenPurpose, User

audit_logger = logging.getLogger("bookings_api.audit")

# The user is notified when these fields change.
_NOTIFIED = {"role": EmailKind.ROLE_CHANGED, "is_active": EmailKind.ACCESS_CHANGED}


def invite_user(
    *,
    actor: User,
    email: str,
    role: Role | None = None,
    name: str | None = None,
    request: IdempotentRequest | None = None,
) -> User:
    """Create an account without a password and email an invitation to it. The default role is `USER`.

    Inviting again before the invitation is accepted revokes the earlier one; role and name change only if given.
    A new account has version 1. Raises `EmailTaken` if the address belongs to an account in use, and
    `IdempotencyKeyReused`.
    """
    try:
        with transaction() as tx:
            user = lock_account_by_email(email)
            if user is None:
                user = User(email=email, role=Role.USER, version=0)
                db.session.add(user)
            elif not user.is_invited or not user.is_active:
                raise EmailTaken
            user.role = role or user.role
            user.name = name or user.name
            user.version += 1
            db.session.flush()
            payload = {"token_id": str(issue_token(user, TokenPurpose.INVITATION)), "invited_by": actor.name}
            _mail(tx, EmailKind.INVITATION, user, **payload)
            store_response(request, actor.id, user)
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):  # a concurrent request created it
            raise EmailTaken from error
        raise
    _log_change(actor, user, {"invited_as": user.role.value})
    return user


def change_user(
    *, actor: User | None, user_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> User:
    """Change the name, role or access of an account. `actor` is None for an operator.

    A change of role or access ends the account's logins and notifies the user. Raises `UserNotFound`, and
    `LastOrganizer` if no active organizer would remain.
    """
    with transaction() as tx:
        # Organizers are locked first, so that all such changes take their locks in the same order.
        organizers = lock_active_organizers() if changes.keys() & _NOTIFIED.keys() else []
        user = _lock_user(user_id)
        precondition(user)
        changed = apply_changes(user, changes)
        if [*organizers] == [user] and (user.role is Role.USER or not user.is_active):
            raise LastOrganizer
        if changed & _NOTIFIED.keys():
            revoke_logins_of(user)
        if not user.is_active:
            for purpose in TokenPurpose:
                revoke_tokens(user, purpose)
        if not user.is_invited:  # invited users have never logged in
            for field in changed & _NOTIFIED.keys():
                _mail(tx, _NOTIFIED[field], user, role=user.role.value, is_active=user.is_active)
    if changed:
        # names are personal data and stay out of the log
        _log_change(actor, user, {field: str(changes[field]) if field in _NOTIFIED else "changed" for field in changed})
    return user


def deactivate_user(*, actor: User | None, user_id: UUID, precondition: Precondition = no_precondition) -> None:
    """End an account's logins and prevent new ones, but keep its data. Raises `UserNotFound`, `LastOrganizer`."""
    change_user(actor=actor, user_id=user_id, changes={"is_active": False}, precondition=precondition)


def change_profile(*, user: User, changes: dict[str, Any], precondition: Precondition = no_precondition) -> User:
    """Change the user's own name."""
    with transaction():
        user = _lock_user(user.id)
        precondition(user)
        apply_changes(user, changes)
    return user


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
        if user_of_login(login_id) is None:
            raise InvalidCredentials
        set_password(account, password_hash)
        revoke_logins_of(account, except_for=login_id)


def _lock_user(user_id: UUID) -> User:
    user = lock_account(user_id)
    if user is None:
        raise UserNotFound
    return user


def _mail(tx: Transaction, kind: EmailKind, user: User, **payload: Any) -> None:
    outbox.queue_email(tx, kind=kind, recipient=user.email, payload={"name": user.name, **payload}, user_id=user.id)


def _log_change(actor: User | None, user: User, changes: dict[str, str]) -> None:
    actor_id = str(actor.id) if actor else "an operator"
    audit_logger.info(
        "account %s changed by %s: %s",
        user.id,
        actor_id,
        ", ".join(f"{field}={value}" for field, value in sorted(changes.items())),
        extra={"account_id": str(user.id), "actor_id": actor_id, "changes": changes},
    )
