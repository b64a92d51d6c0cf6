"""Memberships of accounts in organizations. Lock the account before you change its memberships."""

from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa
from flask import current_app

from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.models import (
    ApiKey,
    Booking,
    Event,
    MemberRole,
    Membership,
    OneTimeToken,
    Organization,
    TeamMember,
    TokenPurpose,
    User,
)
from bookings_api.permissions import Actor, Tenancy


def only_organization() -> UUID:
    """Return the ID of the oldest organization, which a migration created.

    If `Tenancy.is_single` is true, all accounts belong to this organization.
    """
    return db.session.scalars(sa.select(Organization.id).order_by(Organization.id).limit(1)).one()


def membership_of(user_id: UUID, organization_id: UUID) -> Membership | None:
    """Return an account's current membership in an organization, or None."""
    require_transaction()
    return db.session.get(Membership, (organization_id, user_id), populate_existing=True)


def memberships_of(user_id: UUID) -> Sequence[Membership]:
    """Return an account's memberships in all organizations."""
    return db.session.scalars(sa.select(Membership).where(Membership.user_id == user_id)).all()


def roles_of(user_id: UUID) -> Collection[MemberRole]:
    """Return an account's roles in the organizations that it has access to."""
    return [one.role for one in memberships_of(user_id) if one.role and one.is_active]


def with_current_role(actor: Actor, organization_id: UUID) -> Actor:
    """Return the actor with its current role in an organization.

    The role may have changed while the request waited for locks.
    """
    membership = membership_of(actor.id, organization_id)
    role = membership.role if membership and membership.is_active else None
    return Actor(user=actor.user, roles={organization_id: role} if role else {}, tenancy=actor.tenancy)


def lock_leaders(organization_id: UUID, roles: Collection[MemberRole]) -> Sequence[UUID]:
    """Lock the accounts of all members who have one of these roles and can log in. Returns the IDs of the accounts.

    If two owners demote each other at the same time, one request waits for the other and then finds only one owner
    left. To prevent deadlocks, call this before locking any other account.
    """
    require_transaction()
    locked: set[UUID] = set()
    while not locked.issuperset(leaders := db.session.scalars(_leaders(organization_id, roles)).all()):
        # always in the order of the IDs, to prevent deadlocks
        accounts = sa.select(User.id).where(User.id.in_(leaders)).order_by(User.id)
        locked.update(db.session.scalars(accounts.with_for_update(key_share=True)))
    return leaders


def settle_keys(user_id: UUID, organization_id: UUID) -> None:
    """Transfer a member's API keys to another owner, or revoke the keys if no other owner exists.

    Call this when the member loses their rights. Keys that work only for their creator's events are always revoked.
    Otherwise the former member, who knows the secrets, could use these keys on the new owner's events.
    """
    others = _leaders(organization_id, [MemberRole.OWNER]).where(Membership.user_id != user_id)
    owner_id = db.session.scalars(others.limit(1)).one_or_none()
    keys = sa.update(ApiKey).where(
        ApiKey.created_by_id == user_id, ApiKey.organization_id == organization_id, ApiKey.revoked_at.is_(None)
    )
    changes = [keys.values(revoked_at=sa.func.now(), version=ApiKey.version + 1)]
    if owner_id is not None:
        changes = [
            changes[0].where(ApiKey.own_events_only),
            keys.values(created_by_id=owner_id, version=ApiKey.version + 1),
        ]
    for change in changes:
        db.session.execute(change, execution_options={"synchronize_session": False})


def has_leaders(organization_id: UUID, roles: Collection[MemberRole]) -> bool:
    """Whether the organization has a member who has one of these roles and can log in."""
    return db.session.scalars(_leaders(organization_id, roles).limit(1)).one_or_none() is not None


def pending_invitation(user_id: UUID) -> Membership | None:
    """Return the account's membership with the latest pending invitation, or None."""
    pending = sa.select(Membership).where(
        Membership.user_id == user_id, Membership.invited_as.is_not(None), Membership.is_active
    )
    return db.session.scalars(pending.order_by(Membership.updated_at.desc()).limit(1)).one_or_none()


def name_in_invitation(organization_id: UUID) -> str | None:
    """Return the organization's name for use in an email, or None if `Tenancy.is_single` is true."""
    if Tenancy(current_app.config["ORGANIZER_SIGNUP"]).is_single:
        return None
    return db.session.scalars(sa.select(Organization.name).where(Organization.id == organization_id)).one()


def withdraw_invitations(user: User) -> None:
    """Delete an account's pending invitations. Call this when the account's email changes.

    The invitations were sent to the previous email, which may belong to another person. Also deletes the account's
    memberships in organizations where the account has no role and no bookings.
    """
    events = sa.select(Booking.id).join(Event, Event.id == Booking.event_id).where(Booking.user_id == user.id)
    for membership in memberships_of(user.id):
        if membership.invited_as is None:
            continue
        of_organization = events.where(Event.organization_id == membership.organization_id).limit(1)
        if membership.role or db.session.scalars(of_organization).one_or_none():
            membership.invited_as, membership.invited_name = None, None
        else:
            db.session.delete(membership)
    pending = sa.delete(TeamMember).where(TeamMember.user_id == user.id, ~TeamMember.is_accepted)
    db.session.execute(pending, execution_options={"synchronize_session": False})


def forget_if_uninvited(user: User, organization_id: UUID) -> None:
    """Delete an account's pending membership if no invitation to the organization or its event teams remains.

    Needed only with a single organization, where an invitation to an event's team also creates a membership.
    """
    membership = membership_of(user.id, organization_id)
    if membership is None or membership.role or membership.invited_as is None:
        return
    invitations = sa.select(OneTimeToken.id).where(
        OneTimeToken.user_id == user.id,
        OneTimeToken.purpose == TokenPurpose.INVITATION,
        OneTimeToken.subject_id.in_(
            sa.select(Event.id)
            .where(Event.organization_id == organization_id, Event.deleted_at.is_(None))
            .union_all(sa.select(sa.literal(organization_id, sa.Uuid())))
        ),
    )
    if db.session.scalars(invitations.limit(1)).first() is None:
        db.session.delete(membership)


def pending_team_invitation(user_id: UUID) -> tuple[TeamMember, Event] | None:
    """Return the account's latest pending invitation to an event's team, with the event, or None."""
    pending = (
        sa.select(TeamMember, Event)
        .join(Event, Event.id == TeamMember.event_id)
        .where(TeamMember.user_id == user_id, ~TeamMember.is_accepted, Event.deleted_at.is_(None))
    )
    row = db.session.execute(pending.order_by(TeamMember.updated_at.desc()).limit(1)).one_or_none()
    return row and (row[0], row[1])


def team_member(event_id: UUID, user_id: UUID) -> TeamMember | None:
    """Return an account's current membership in an event's team, or None."""
    require_transaction()
    return db.session.get(TeamMember, (event_id, user_id), populate_existing=True)


def bump_versions(user: User) -> None:
    """Increment the versions of an account and all its memberships."""
    user.version += 1
    for membership in memberships_of(user.id):
        membership.version += 1


def _leaders(organization_id: UUID, roles: Collection[MemberRole]) -> sa.Select[UUID]:
    return (
        sa.select(Membership.user_id)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.organization_id == organization_id,
            Membership.role.in_(roles),
            Membership.is_active,
            User.is_active,
            User.password_hash.is_not(None),
        )
        .order_by(Membership.user_id)
    )
