"""Services that manage event teams and transfer events to another organizer.

Each change to a team locks the person's account and then the event, and checks the permission again, because the event
may have been transferred meanwhile. To prevent deadlocks, lock the account before the event.
"""

from typing import Any
from uuid import UUID

from bookings_api.accounts.locks import lock_account, lock_account_by_email, lock_or_create_account
from bookings_api.accounts.memberships import forget_if_uninvited, membership_of, team_member
from bookings_api.accounts.one_time_tokens import issue_token, revoke_tokens
from bookings_api.database.changes import apply_changes
from bookings_api.database.transactions import Precondition, Transaction, no_precondition, transaction
from bookings_api.errors import AccessRevoked, AlreadyOnTeam, EmailNotVerified, NotAnOrganizer, TeamMemberNotFound
from bookings_api.events.queries import get_event, get_event_for, lock_event_for, require_visible
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.inventory.locking import lock_event
from bookings_api.mail import outbox
from bookings_api.models import (
    EmailKind,
    Event,
    MemberRole,
    Membership,
    TeamEntry,
    TeamMember,
    TeamRole,
    TokenPurpose,
    User,
)
from bookings_api.permissions import Action, Actor
from bookings_api.teams.queries import entry_of, require_entry


def add_team_member(
    *, actor: Actor, event_id: UUID, email: str, role: TeamRole, request: IdempotentRequest | None = None
) -> TeamEntry:
    """Add a person to an event's team.

    Members of the organization with a verified email join immediately. Everyone else gets an invitation and joins by
    accepting it. Inviting a person again revokes the earlier invitation. A new team member has version 1.

    Raises `EventNotFound`, `PermissionDenied`, `AccessRevoked`, `AlreadyOnTeam` or `IdempotencyKeyReused`.
    """
    get_event_for(actor, Action.MANAGE_TEAM, event_id)
    with transaction() as tx:
        user = lock_or_create_account(email)
        event, _ = lock_event_for(actor, Action.MANAGE_TEAM, event_id)
        membership = membership_of(user.id, event.organization_id)
        if membership is None and actor.tenancy.is_single:
            membership = Membership(
                organization_id=event.organization_id, user_id=user.id, invited_as=MemberRole.USER, is_active=True
            )
            db.session.add(membership)
        if not user.is_active or (membership is not None and not membership.is_active):
            raise AccessRevoked
        member = team_member(event_id, user.id)
        if user.id == event.organizer_id or (member is not None and member.is_accepted):
            raise AlreadyOnTeam
        if member is None:
            member = TeamMember(event_id=event_id, user_id=user.id, version=0)
            db.session.add(member)
        member.role = role
        member.is_accepted = bool(membership and membership.role and user.email_verified and user.is_active)
        member.version += 1
        _announce(tx, actor, event, user, member)
        db.session.flush()
        entry = entry_of(actor, event, user.id)
        store_response(request, actor.id, entry)
    return entry


def change_team_member(
    *,
    actor: Actor,
    event_id: UUID,
    user_id: UUID,
    changes: dict[str, Any],
    precondition: Precondition = no_precondition,
) -> TeamEntry:
    """Change a person's role on an event's team. Notifies members, and sends invited people a new invitation.

    Raises `EventNotFound`, `PermissionDenied` or `TeamMemberNotFound`.
    """
    get_event_for(actor, Action.MANAGE_TEAM, event_id)
    with transaction() as tx:
        user, member = _lock_member(event_id, user_id)
        event, _ = lock_event_for(actor, Action.MANAGE_TEAM, event_id)
        precondition(member)
        if apply_changes(member, changes):
            _announce(tx, actor, event, user, member)
    return entry_of(actor, event, user_id)


def remove_team_member(
    *, actor: Actor, event_id: UUID, user_id: UUID, precondition: Precondition = no_precondition
) -> None:
    """Remove a person from an event's team and notify them, or revoke their invitation without notifying them.

    People may also remove themselves. Raises `EventNotFound`, `PermissionDenied` or `TeamMemberNotFound`.
    """
    require_entry(actor, get_event(event_id, viewer=actor), user_id)
    with transaction() as tx:
        user, member = _lock_member(event_id, user_id)
        event, _ = lock_event(event_id)
        require_entry(actor, require_visible(event, viewer=actor), user_id)
        precondition(member)
        db.session.delete(member)
        revoke_tokens(user, TokenPurpose.INVITATION, subject_id=event_id)
        if member.is_accepted:
            _mail(tx, EmailKind.TEAM_CHANGED, user, event, role=None)
        elif actor.tenancy.is_single:
            db.session.flush()
            forget_if_uninvited(user, event.organization_id)


def transfer_event(
    *,
    actor: Actor,
    event_id: UUID,
    user_id: UUID | None = None,
    email: str | None = None,
    precondition: Precondition = no_precondition,
) -> Event:
    """Transfer an event to another organizer of the organization, and notify the new organizer.

    Removes the new organizer from the event's team. A transfer to the current organizer changes nothing and ignores the
    precondition. Raises `EventNotFound`, `PermissionDenied`, `NotAnOrganizer` or `EmailNotVerified`.
    """
    get_event_for(actor, Action.MANAGE_TEAM, event_id)
    with transaction() as tx:
        user = lock_account_by_email(email) if email else user_id and lock_account(user_id)
        event, _ = lock_event_for(actor, Action.MANAGE_TEAM, event_id)
        if user and user.id == event.organizer_id:
            return event
        precondition(event)
        membership = membership_of(user.id, event.organization_id) if user else None
        if not user or not user.is_active or not membership or not _is_organizer(membership):
            raise NotAnOrganizer
        if not user.email_verified:
            raise EmailNotVerified("The email of this organizer is not verified.")
        if (member := team_member(event_id, user.id)) is not None:
            db.session.delete(member)
        event.organizer_id = user.id
        event.version += 1
        _mail(tx, EmailKind.TEAM_CHANGED, user, event, role="organizer")
    return event


def _is_organizer(membership: Membership) -> bool:
    return membership.is_active and membership.role in {MemberRole.OWNER, MemberRole.ORGANIZER}


def _lock_member(event_id: UUID, user_id: UUID) -> tuple[User, TeamMember]:
    user = lock_account(user_id)
    member = team_member(event_id, user_id)
    if user is None or member is None:
        raise TeamMemberNotFound
    return user, member


def _announce(tx: Transaction, actor: Actor, event: Event, user: User, member: TeamMember) -> None:
    """Notify a member of their role, or send an invited person a new invitation."""
    if member.is_accepted:
        revoke_tokens(user, TokenPurpose.INVITATION, subject_id=event.id)
        _mail(tx, EmailKind.TEAM_CHANGED, user, event, role=member.role.value)
    else:
        token_id = issue_token(user, TokenPurpose.INVITATION, subject_id=event.id)
        invited_by = actor.user and actor.user.name
        _mail(
            tx,
            EmailKind.TEAM_INVITATION,
            user,
            event,
            role=member.role.value,
            token_id=str(token_id),
            invited_by=invited_by,
        )


def _mail(tx: Transaction, kind: EmailKind, user: User, event: Event, **payload: Any) -> None:
    # if the address is unverified, another person may have chosen the account's name
    name = user.name if user.email_verified else None
    about = {"name": name, "event_id": str(event.id), "event_title": event.title}
    outbox.queue_email(tx, kind=kind, recipient=user.email, payload=about | payload, user_id=user.id)
