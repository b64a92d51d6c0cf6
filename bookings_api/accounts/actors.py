"""Finds who sends a request: the account of a login, with its roles, or an API key."""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.prepared import Prepared, read_row
from bookings_api.models import Event, Login, MemberRole, Membership, TeamMember, TeamRole, User
from bookings_api.models.user import is_logged_in
from bookings_api.permissions import Actor, Tenancy

_roles = (
    sa.select(sa.func.json_object_agg(Membership.organization_id, Membership.role))
    .where(Membership.user_id == User.id, Membership.is_active, Membership.role != sa.literal_column("'user'"))
    .correlate(User)
    .scalar_subquery()
)
# a person whose access was revoked has no role in the teams of the organization's events
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


def actor_of_login(login_id: UUID, *, tenancy: Tenancy = Tenancy.INVITE_ONLY) -> Actor | None:
    """Return the account of a login with its roles, or None if the login has ended or the account is inactive."""
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
