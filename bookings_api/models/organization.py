"""Organizations, memberships and event teams."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, aliased, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped, choice
from bookings_api.models.user import Role, User


class MemberRole(StrEnum):
    """A member's role in an organization.

    Owners manage the whole organization. Organizers manage their own events and the organization's people. Users can
    only book tickets.
    """

    OWNER = "owner"
    ORGANIZER = "organizer"
    USER = "user"

    def outranks(self, other: "MemberRole") -> bool:
        """Whether this role has more rights than `other`."""
        ranks = [*MemberRole]
        return ranks.index(self) < ranks.index(other)


class TeamRole(StrEnum):
    """A role in an event's team.

    Co-organizers can edit the event and manage its bookings. Check-in helpers can only view the event and its door
    list. Both roles can see the event while it is a draft.
    """

    CO_ORGANIZER = "co_organizer"
    CHECK_IN = "check_in"


class Organization(Identified, Timestamped, Base):
    """A group of people who publish events. Organizations cannot see each other's people, bookings or API keys."""

    __tablename__ = "organizations"

    name: Mapped[str] = mapped_column(sa.String(100))
    version: Mapped[int] = mapped_column(default=1, server_default="1")


class Membership(Timestamped, Base):
    """An account's status in an organization: member, invited person, or customer who has booked an event.

    Only members have a `role`. `invited_as` is the role that a pending invitation offers, and `invited_name` is the
    name that the inviter entered. If the organization revokes a person's access, `is_active` is false. The person then
    has no rights in the organization and cannot book its events.
    """

    __tablename__ = "memberships"
    __table_args__ = (
        sa.Index("ix_memberships_user_id", "user_id"),
        # for checking whether an owner or organizer is the last one
        sa.Index(
            "ix_memberships_leaders",
            "organization_id",
            "user_id",
            postgresql_where=sa.text("role <> 'user' AND is_active"),
        ),
    )

    organization_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organizations.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    role: Mapped[MemberRole | None] = mapped_column(choice(MemberRole, "role"))
    invited_as: Mapped[MemberRole | None] = mapped_column(choice(MemberRole, "invited_as"))
    invited_name: Mapped[str | None] = mapped_column(sa.String(100))
    is_active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    version: Mapped[int] = mapped_column(default=1, server_default="1")


class TeamMember(Timestamped, Base):
    """An account's role in an event's team. The role has no effect until `is_accepted` is true."""

    __tablename__ = "event_team"
    __table_args__ = (sa.Index("ix_event_team_user_id", "user_id"),)

    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("events.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"), primary_key=True)
    role: Mapped[TeamRole] = mapped_column(choice(TeamRole, "role"))
    is_accepted: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    version: Mapped[int] = mapped_column(default=1, server_default="1")


def _literal(value: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{value}'", sa.String)


_users, _memberships = User.__table__, Membership.__table__
_is_pending = sa.and_(_memberships.c.role.is_(None), _memberships.c.invited_as.is_not(None))


def _people(accounts: sa.FromClause) -> sa.Select[Any]:
    """Select memberships with their accounts, as the organization's organizers see them."""
    account = accounts.c
    return sa.select(
        _memberships.c.organization_id,
        _memberships.c.user_id.label("id"),
        account.email,
        # nothing about an existing account is shown before its owner accepts the invitation
        sa.case((_is_pending, _memberships.c.invited_name), else_=account.name).label("name"),
        sa.type_coerce(
            sa.case(
                (
                    sa.func.coalesce(_memberships.c.invited_as, _memberships.c.role) != _literal(MemberRole.USER),
                    _literal(Role.ORGANIZER),
                ),
                else_=_literal(Role.USER),
            ),
            choice(Role, "role"),
        ).label("role"),
        sa.func.coalesce(_memberships.c.role == _literal(MemberRole.OWNER), sa.false()).label("is_owner"),
        sa.and_(sa.or_(_is_pending, account.is_active), _memberships.c.is_active).label("is_active"),
        _memberships.c.invited_as.is_not(None).label("is_invited"),
        sa.and_(sa.not_(_is_pending), account.email_verified_at.is_not(None)).label("email_verified"),
        _memberships.c.version,
        sa.case((_is_pending, _memberships.c.created_at), else_=account.created_at).label("created_at"),
    ).join(accounts, _memberships.c.user_id == account.id)


class Person(Base):
    """A membership and its account, as the organization's organizers see them. Read-only.

    `version` is the membership's version, so changes in other organizations do not affect it. `role` is the role that a
    pending invitation offers, or else the member's role. Owners count as organizers, and customers as users.
    """

    __table__ = _people(_users).subquery("people")
    __mapper_args__ = {"primary_key": [__table__.c.organization_id, __table__.c.id]}

    if TYPE_CHECKING:
        organization_id: Mapped[UUID]
        id: Mapped[UUID]
        email: Mapped[str]
        name: Mapped[str | None]
        role: Mapped[Role]
        is_owner: Mapped[bool]
        is_active: Mapped[bool]
        is_invited: Mapped[bool]
        email_verified: Mapped[bool]
        version: Mapped[int]
        created_at: Mapped[datetime]


# OFFSET makes PostgreSQL look up the account of each membership instead of scanning all accounts.
_account = sa.select(_users).where(_users.c.id == _memberships.c.user_id).offset(sa.literal_column("0", sa.Integer))
# Like `Person`, but reads only the people of the organization in the parameter `organization_id`.
OwnPerson = aliased(
    Person,
    _people(_account.lateral("account"))
    .where(_memberships.c.organization_id == sa.bindparam("organization_id"))
    .subquery("own_people"),
    name="own_people",
    adapt_on_names=True,
)

_team, _organizations = TeamMember.__table__, Organization.__table__


class TeamEntry(Base):
    """A member of an event's team and their account, as the event's organizer sees them. Read-only.

    `name` is null until the person accepts the invitation.
    """

    __table__ = (
        sa.select(
            _team.c.event_id,
            _team.c.user_id,
            _users.c.email,
            sa.case((_team.c.is_accepted, _users.c.name)).label("name"),
            _team.c.role,
            sa.not_(_team.c.is_accepted).label("is_invited"),
            _team.c.version,
            _team.c.created_at,
        )
        .join(_users, _team.c.user_id == _users.c.id)
        .subquery("team_entries")
    )
    __mapper_args__ = {"primary_key": [__table__.c.event_id, __table__.c.user_id]}

    if TYPE_CHECKING:
        event_id: Mapped[UUID]
        user_id: Mapped[UUID]
        email: Mapped[str]
        name: Mapped[str | None]
        role: Mapped[TeamRole]
        is_invited: Mapped[bool]
        version: Mapped[int]
        created_at: Mapped[datetime]


class OwnOrganization(Base):
    """An organization and the role of one of its active members. Read-only.

    `version` increases when the organization or the membership changes.
    """

    __table__ = (
        sa.select(
            _organizations.c.id,
            _memberships.c.user_id,
            _organizations.c.name,
            _memberships.c.role,
            (_organizations.c.version + _memberships.c.version - 1).label("version"),
            _organizations.c.created_at,
        )
        .join(_memberships, _memberships.c.organization_id == _organizations.c.id)
        .where(_memberships.c.role.is_not(None), _memberships.c.is_active)
        .subquery("own_organizations")
    )
    __mapper_args__ = {"primary_key": [__table__.c.id, __table__.c.user_id]}

    if TYPE_CHECKING:
        id: Mapped[UUID]
        user_id: Mapped[UUID]
        name: Mapped[str]
        role: Mapped[MemberRole]
        version: Mapped[int]
        created_at: Mapped[datetime]
