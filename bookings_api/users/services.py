"""Services that let organizers manage the people in their organization."""

import logging
from collections.abc import Collection
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from bookings_api.accounts.locks import lock_account, lock_or_create_account
from bookings_api.accounts.logins import revoke_logins_of
from bookings_api.accounts.memberships import (
    lock_leaders,
    membership_of,
    memberships_of,
    name_in_invitation,
    settle_keys,
    with_current_role,
)
from bookings_api.accounts.one_time_tokens import issue_token, revoke_tokens
from bookings_api.database.transactions import Precondition, Transaction, no_precondition, transaction
from bookings_api.errors import (
    EmailNotVerified,
    EmailTaken,
    LastOrganizer,
    LastOwner,
    NotAMember,
    PermissionDenied,
    UserNotFound,
)
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.inventory.waiting_list import access_restored
from bookings_api.mail import outbox
from bookings_api.models import EmailKind, MemberRole, Membership, Person, TokenPurpose, User
from bookings_api.permissions import Action, Actor, Tenancy, may, organization_for
from bookings_api.users.queries import get_person

audit_logger = logging.getLogger("bookings_api.audit")

_LEADERS = (MemberRole.OWNER, MemberRole.ORGANIZER)


def invite_user(
    *,
    actor: Actor,
    email: str,
    organization_id: UUID | None = None,
    role: MemberRole | None = None,
    name: str | None = None,
    request: IdempotentRequest | None = None,
) -> Person:
    """Email an invitation to join an organization. The role, by default `USER`, applies once the person accepts.

    Inviting a person again revokes the earlier invitation, and changes the role and the name only if they are given.
    `name` is ignored for accounts with a password. Other organizations cannot see it. A new person has version 1.

    Raises `EmailTaken` for people without access, and for members whose address is verified or who have a higher role
    than `role`. Also raises `PermissionDenied`, `IdempotencyKeyReused` and the errors of `organization_for`.
    """
    organization_id = organization_for(actor, Action.MANAGE_PEOPLE, organization_id)
    _require_may_grant(actor, role, organization_id)
    with transaction() as tx:
        user = lock_or_create_account(email)
        membership = membership_of(user.id, organization_id)
        if membership is None:
            membership = Membership(organization_id=organization_id, user_id=user.id, version=0)
            db.session.add(membership)
        elif not membership.is_active or (membership.role and user.email_verified):
            raise EmailTaken
        _require_may_change(actor, membership)
        if not user.is_active or _would_lose_rights(membership, role):
            raise EmailTaken
        if user.is_invited:
            membership.invited_name = name or membership.invited_name
        membership.invited_as = role or membership.invited_as or membership.role or MemberRole.USER
        membership.version += 1
        token_id = issue_token(user, TokenPurpose.INVITATION, subject_id=organization_id)
        _mail(
            tx,
            EmailKind.INVITATION,
            user,
            name=user.name if user.email_verified else membership.invited_name,
            token_id=str(token_id),
            invited_by=actor.user and actor.user.name,
            organization=name_in_invitation(organization_id),
        )
        db.session.flush()
        person = get_person(actor, user.id, organization_id=organization_id)
        store_response(request, actor.id, person)
    log_change(actor, user.id, {"invited_as": membership.invited_as.value})
    return person


def change_person(
    *,
    actor: Actor,
    user_id: UUID,
    changes: dict[str, Any],
    organization_id: UUID | None = None,
    precondition: Precondition = no_precondition,
) -> Person:
    """Change the name, role or access of a person in an organization.

    If the role or access changes, notifies the person by email, unless they have no password yet. If they lose their
    rights, also transfers or revokes their API keys. With a single organization, also revokes the person's logins, and
    a person without access cannot log in again.

    Raises `UserNotFound`, `PermissionDenied`, `NotAMember` or `EmailNotVerified` (the person cannot get the role),
    `LastOwner` or `LastOrganizer` (no other owner or organizer would remain), and the errors of `organization_for`.
    """
    organization_id = organization_for(actor, Action.MANAGE_PEOPLE, organization_id)
    with (
        transaction() as tx,
        access_restored(tx, user_id, organization_id) if changes.get("is_active") else nullcontext(),
    ):
        changes_rights = changes.keys() & {"role", "is_active"}
        leaders = lock_leaders(organization_id, _leading_roles(actor.tenancy)) if changes_rights else ()
        user, membership = _lock_person(user_id, organization_id)
        actor = with_current_role(actor, organization_id)
        organization_for(actor, Action.MANAGE_PEOPLE, organization_id)
        _require_may_grant(actor, changes.get("role"), organization_id)
        precondition(membership)
        _require_may_change(actor, membership)
        changed = _apply(user, membership, changes)
        if {"role", "is_active"} & changed:
            _require_leader(actor, membership, leaders)
            if not (membership.is_active and membership.role in _LEADERS):
                settle_keys(user_id, organization_id)
            if actor.tenancy.is_single:
                user.is_active = membership.is_active
                revoke_logins_of(user)
            if not membership.is_active:
                _revoke_invitations(user, organization_id, tenancy=actor.tenancy)
        if changed:  # the memberships in other organizations do not change
            user.version += 1
            membership.version += 1
        if {"role", "is_active"} & changed and not user.is_invited:  # invited users have never logged in
            _notify(tx, user, membership, changed)
    if changed:
        # names are personal data and stay out of the log
        log_change(actor, user_id, {field: "changed" if field == "name" else str(changes[field]) for field in changed})
    return get_person(actor, user_id, organization_id=organization_id)


def remove_access(
    *,
    actor: Actor,
    user_id: UUID,
    organization_id: UUID | None = None,
    precondition: Precondition = no_precondition,
) -> None:
    """Revoke a person's access to an organization, but keep their data. Raises the errors of `change_person`."""
    change_person(
        actor=actor,
        user_id=user_id,
        changes={"is_active": False},
        organization_id=organization_id,
        precondition=precondition,
    )


def require_other_leaders(tenancy: Tenancy, user_id: UUID, *, except_for: Collection[UUID] = ()) -> None:
    """Raise `LastOwner` or `LastOrganizer` if an organization would have no owner or organizer without this account.

    Locks the accounts of these organizations' owners or organizers. Ignores the organizations in `except_for`.
    """
    for organization_id in sorted({one.organization_id for one in memberships_of(user_id)} - {*except_for}):
        if [*lock_leaders(organization_id, _leading_roles(tenancy))] == [user_id]:
            raise _no_leader(tenancy)


def _lock_person(user_id: UUID, organization_id: UUID) -> tuple[User, Membership]:
    user = lock_account(user_id)
    membership = membership_of(user_id, organization_id)
    if user is None or membership is None:
        raise UserNotFound
    return user, membership


def _leading_roles(tenancy: Tenancy) -> Collection[MemberRole]:
    """Return the roles that can lead an organization. Each organization must keep a member with one of these roles."""
    return _LEADERS if tenancy is Tenancy.OPEN else (MemberRole.OWNER,)


def _require_leader(actor: Actor, membership: Membership, leaders: Collection[UUID]) -> None:
    leads = membership.is_active and membership.role in _leading_roles(actor.tenancy)
    if [*leaders] == [membership.user_id] and not leads:
        raise _no_leader(actor.tenancy)


def _no_leader(tenancy: Tenancy) -> LastOwner | LastOrganizer:
    return LastOrganizer() if tenancy is Tenancy.OPEN else LastOwner()


def _would_lose_rights(membership: Membership, role: MemberRole | None) -> bool:
    """Whether the role in an invitation is lower than the member's current role."""
    return role is not None and membership.role is not None and membership.role.outranks(role)


def _require_may_change(actor: Actor, membership: Membership) -> None:
    """Raise `PermissionDenied` if the person is an owner or is invited as an owner, unless the actor is an owner."""
    for role in (membership.role, membership.invited_as):
        _require_may_grant(actor, role, membership.organization_id)


def _require_may_grant(actor: Actor, role: MemberRole | None, organization_id: UUID) -> None:
    """Raise `PermissionDenied` if the role is `OWNER`, unless the actor is an owner."""
    if role is MemberRole.OWNER and not may(actor, Action.MANAGE_ORGANIZATION, organization_id=organization_id):
        raise PermissionDenied("Only owners can do this.")


def _apply(user: User, membership: Membership, changes: dict[str, Any]) -> set[str]:
    """Apply changes to a person. Returns the names of the fields that changed."""
    changed = set()
    if "name" in changes and _change_name(user, membership, changes["name"]):
        changed.add("name")
    if "role" in changes and _change_role(user, membership, changes["role"]):
        changed.add("role")
    if changes.get("is_active", membership.is_active) != membership.is_active:
        membership.is_active = changes["is_active"]
        changed.add("is_active")
    return changed


def _change_name(user: User, membership: Membership, name: str) -> bool:
    """Change the name of a member or of an invited person without a password. Returns whether the name changed.

    Raises `PermissionDenied` if the person is not a member, or is also in another organization.
    """
    if user.is_invited and membership.role is None:
        changed = name != membership.invited_name
        membership.invited_name = name
        return changed
    if membership.role is None or len(memberships_of(user.id)) > 1:
        raise PermissionDenied(
            "You cannot change this name, because the account does not belong to your organization alone."
        )
    changed = name != user.name
    user.name = name
    return changed


def _change_role(user: User, membership: Membership, role: MemberRole) -> bool:
    """Change a member's role and the role in their pending invitation. Returns whether one of the roles changed.

    A member with an unverified email gets a higher role only by accepting an invitation. A lower role applies
    immediately. Raises `NotAMember` or `EmailNotVerified`.
    """
    if membership.role is None and membership.invited_as is None:
        raise NotAMember
    before = (membership.role, membership.invited_as)
    if membership.role and (user.email_verified or not role.outranks(membership.role)):
        membership.role = role
    elif membership.invited_as is None:
        raise EmailNotVerified
    if membership.invited_as:
        membership.invited_as = role
    return before != (membership.role, membership.invited_as)


def _revoke_invitations(user: User, organization_id: UUID, *, tenancy: Tenancy) -> None:
    if tenancy.is_single:
        revoke_tokens(user, *TokenPurpose)
    else:
        revoke_tokens(user, TokenPurpose.INVITATION, subject_id=organization_id)


def _notify(tx: Transaction, user: User, membership: Membership, changed: Collection[str]) -> None:
    about = {
        "role": (membership.role or MemberRole.USER).value,
        "is_active": membership.is_active,
        "organization_id": str(membership.organization_id),
        "organization": name_in_invitation(membership.organization_id),
    }
    for field, kind in (("role", EmailKind.ROLE_CHANGED), ("is_active", EmailKind.ACCESS_CHANGED)):
        if field in changed:
            _mail(tx, kind, user, **about)


def _mail(tx: Transaction, kind: EmailKind, user: User, **payload: Any) -> None:
    outbox.queue_email(tx, kind=kind, recipient=user.email, payload={"name": user.name, **payload}, user_id=user.id)


def log_change(actor: Actor | None, user_id: UUID, changes: dict[str, str]) -> None:
    actor_id = str(actor.id) if actor else "an operator"
    audit_logger.info(
        "account %s changed by %s: %s",
        user_id,
        actor_id,
        ", ".join(f"{field}={value}" for field, value in sorted(changes.items())),
        extra={"account_id": str(user_id), "actor_id": actor_id, "changes": changes},
    )
