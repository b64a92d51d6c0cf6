"""Identifies the sender of a request: an account with its roles, or an API key."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.prepared import BoundStatement, Prepared, read_row, run
from bookings_api.models import ApiKey, Event, Login, MemberRole, Membership, TeamMember, TeamRole, User
from bookings_api.models.api_key import is_usable
from bookings_api.models.user import is_logged_in
from bookings_api.permissions import Actor, Tenancy

_roles = (
    sa.select(sa.func.json_object_agg(Membership.organization_id, Membership.role))
    .where(Membership.user_id == User.id, Membership.is_active, Membership.role.is_not(None))
    .correlate(User)
    .scalar_subquery()
)
# an account whose access was revoked has no role in the organization's event teams
_is_revoked = (
    sa.exists()
    .where(
        Event.id == TeamMember.event_id,
        Membership.organization_id == Event.organization_id,
        Membership.user_id == TeamMember.user_id,
        Membership.is_active.is_(False),
    )
    .correlate(TeamMember)
)
_team = (
    sa.select(sa.func.json_object_agg(TeamMember.event_id, TeamMember.role))
    .where(TeamMember.user_id == User.id, TeamMember.is_accepted, ~_is_revoked)
    .correlate(User)
    .scalar_subquery()
)
_ACTOR_OF_LOGIN = Prepared(
    "actor_of_login",
    sa.select(*User.__table__.c, _roles, _team)
    .select_from(User)
    .join(Login, Login.user_id == User.id)
    .where(Login.id == sa.bindparam("login_id", type_=sa.Uuid()), *is_logged_in()),
)

_ACTOR_OF_KEY = Prepared(
    "actor_of_key",
    sa.select(sa.func.clock_timestamp(), ApiKey.__table__).where(
        is_usable(sa.bindparam("secret_hash", type_=sa.LargeBinary()))
    ),
)
# The precision of `last_used_at`. A key in constant use causes at most one write per minute.
_PRECISION = timedelta(minutes=1)
# Skips a locked key. Bookings run this statement while they hold the event's lock, and must not wait for another lock.
_RECORD_USE = Prepared(
    "record_use_of_key",
    sa.update(ApiKey)
    .where(
        ApiKey.id.in_(
            sa.select(ApiKey.id)
            .where(
                ApiKey.id == sa.bindparam("key_id", type_=sa.Uuid()),
                sa.func.coalesce(ApiKey.last_used_at <= sa.func.clock_timestamp() - _PRECISION, sa.true()),
            )
            .with_for_update(key_share=True, skip_locked=True)
        )
    )
    .values(last_used_at=sa.func.clock_timestamp(), updated_at=ApiKey.updated_at),
)


def actor_of_login(login_id: UUID, *, tenancy: Tenancy = Tenancy.INVITE_ONLY) -> Actor | None:
    """Return a login's account with its roles, or None if the login has ended or the account is inactive."""
    rows = _ACTOR_OF_LOGIN(login_id=login_id)
    if not rows:
        return None
    *user, roles, team = rows[0]
    return Actor(
        user=read_row(User, user),
        roles={UUID(organization_id): MemberRole(role) for organization_id, role in (roles or {}).items()},
        team={UUID(event_id): TeamRole(role) for event_id, role in (team or {}).items()},
        tenancy=tenancy,
    )


def actor_of_key(secret_hash: bytes) -> Actor | None:
    """Return the API key whose secret has this hash, and record its use.

    Returns None if the key is unknown, revoked or expired.
    """
    rows = _ACTOR_OF_KEY(secret_hash=secret_hash)
    if not rows:
        return None
    now, *key = rows[0]
    actor = Actor(key=read_row(ApiKey, key))
    record_use(actor, now=now)
    return actor


def record_use(actor: Actor, *, now: datetime) -> None:
    """Set an API key's `last_used_at`, at most once a minute. Does nothing for accounts.

    `now` is the database's time.
    """
    for statement in use_to_record(actor, now=now):
        run(statement)


def use_to_record(actor: Actor, *, now: datetime) -> list[BoundStatement]:
    """Return the statements that `record_use` runs. The list is empty if there is nothing to update."""
    key = actor.key
    if key is None or (key.last_used_at and now - key.last_used_at < _PRECISION):
        return []
    return [_RECORD_USE.with_values(key_id=key.id)]
