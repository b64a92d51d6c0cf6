"""What organizers do with accounts, and everybody with the own one."""

import logging
from typing import Any
from uuid import UUID

from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.accounts.locks import lock_account, lock_account_of, lock_active_organizers
from bookings_api.accounts.logins import revoke_logins_of
from bookings_api.accounts.one_time_tokens import issue_token, withdraw_tokens
from bookings_api.database.transactions import Precondition, Transaction, no_precondition, transaction
from bookings_api.errors import EmailTaken, LastOrganizer, UserNotFound
from bookings_api.extensions import db
from bookings_api.mail import tasks
from bookings_api.models import EmailKind, Role, TokenPurpose, User

audit_logger = logging.getLogger("bookings_api.audit")

# Which of the changes is told to the person.
_TOLD = {"role": EmailKind.ROLE_CHANGED, "is_active": EmailKind.ACCESS_CHANGED}


def invite_user(*, actor: User, email: str, role: Role | None = None, name: str | None = None) -> tuple[User, bool]:
    """Make an account that its owner has still to accept, a user's unless `role` says otherwise; mail the invitation.

    Inviting somebody again who has not accepted yet withdraws the earlier invitation; role and name stay unless given.
    Returns the account and whether it is a new one. Raises `EmailTaken` when the address has an account in use.
    """
    try:
        with transaction() as tx:
            user = lock_account_of(email)
            is_new = user is None
            if user is None:
                user = User(email=email, role=Role.USER)
                db.session.add(user)
            elif not user.is_invited or not user.is_active:
                raise EmailTaken
            user.role = role or user.role
            user.name = name or user.name
            user.version = 1 if is_new else user.version + 1
            db.session.flush()
            payload = {"token_id": str(issue_token(user, TokenPurpose.INVITATION)), "invited_by": actor.name}
            _mail(tx, EmailKind.INVITATION, user, **payload)
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):  # somebody else was faster
            raise EmailTaken from error
        raise
    _log_change(actor, user, {"invited_as": user.role.value})
    return user, is_new


def change_user(
    *, actor: User | None, user_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> User:
    """Change name, role or is_active of an account; without an actor it is an operator who does.

    Another role or no access ends the account's logins at once; both are told to the person by mail. Raises
    `UserNotFound`, and `LastOrganizer` rather than leave the service without one.
    """
    with transaction() as tx:
        # all organizers first, so that whoever changes roles or access takes the locks in the same order
        organizers = lock_active_organizers() if changes.keys() & _TOLD.keys() else []
        user = _lock_user(user_id)
        precondition(user)
        changed = {field: value for field, value in changes.items() if getattr(user, field) != value}
        if (changed.get("role") is Role.USER or changed.get("is_active") is False) and [*organizers] == [user]:
            raise LastOrganizer
        for field, value in changed.items():
            setattr(user, field, value)
        if changed:
            user.version += 1
        if changed.keys() & _TOLD.keys():
            revoke_logins_of(user)
        if not user.is_active:
            for purpose in TokenPurpose:
                withdraw_tokens(user, purpose)
        if not user.is_invited:  # who has never been in has nothing to be told
            for field in changed.keys() & _TOLD.keys():
                _mail(tx, _TOLD[field], user, role=user.role.value, is_active=user.is_active)
    if changed:
        # that a name was changed is worth a line, but the name itself is a person's and stays out of the log
        _log_change(
            actor, user, {field: str(value) if field in _TOLD else "changed" for field, value in changed.items()}
        )
    return user


def deactivate_user(*, actor: User | None, user_id: UUID, precondition: Precondition = no_precondition) -> None:
    """Take an account's access away; nothing of it is lost. Raises `UserNotFound`, `LastOrganizer`."""
    change_user(actor=actor, user_id=user_id, changes={"is_active": False}, precondition=precondition)


def change_profile(*, user: User, changes: dict[str, Any], precondition: Precondition = no_precondition) -> User:
    """Change one's own name."""
    with transaction():
        user = _lock_user(user.id)
        precondition(user)
        changed = {field: value for field, value in changes.items() if getattr(user, field) != value}
        for field, value in changed.items():
            setattr(user, field, value)
        if changed:
            user.version += 1
    return user


def _lock_user(user_id: UUID) -> User:
    user = lock_account(user_id)
    if user is None:
        raise UserNotFound
    return user


def _mail(tx: Transaction, kind: EmailKind, user: User, **payload: Any) -> None:
    tasks.post(tx, kind=kind, recipient=user.email, payload={"name": user.name, **payload}, user_id=user.id)


def _log_change(actor: User | None, user: User, changes: dict[str, str]) -> None:
    actor_id = str(actor.id) if actor else "an operator"
    audit_logger.info(
        "account %s changed by %s: %s",
        user.id,
        actor_id,
        ", ".join(f"{field}={value}" for field, value in sorted(changes.items())),
        extra={"account_id": str(user.id), "actor_id": actor_id, "changes": changes},
    )
