"""Queries for event teams."""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order
from bookings_api.errors import TeamMemberNotFound
from bookings_api.events.queries import get_event, get_event_for
from bookings_api.extensions import db
from bookings_api.models import Event, TeamEntry
from bookings_api.permissions import Action, Actor, is_self, require

_TEAM = ListQuery(
    sa.select(TeamEntry).where(TeamEntry.event_id == sa.bindparam("event_id")),
    filters={},
    orders=[Order(sa.func.lower(TeamEntry.email), TeamEntry.user_id)],
)


def team_of(actor: Actor, event_id: UUID) -> Listing:
    """Return an event's team, sorted by email. Raises `EventNotFound` or `PermissionDenied`."""
    return _TEAM(event_id=get_event_for(actor, Action.MANAGE_TEAM, event_id).id)


def get_entry(actor: Actor, event_id: UUID, user_id: UUID) -> TeamEntry:
    """Return a person's entry in an event's team. Raises `EventNotFound` and the errors of `entry_of`."""
    return entry_of(actor, get_event(event_id, viewer=actor), user_id)


def entry_of(actor: Actor, event: Event, user_id: UUID) -> TeamEntry:
    """Return a person's entry in an event's team.

    Raises `TeamMemberNotFound`, or `PermissionDenied` if `actor` may not see the entry.
    """
    require_entry(actor, event, user_id)
    entry = db.session.get(TeamEntry, (event.id, user_id), populate_existing=True)
    if entry is None:
        raise TeamMemberNotFound
    return entry


def require_entry(actor: Actor, event: Event, user_id: UUID) -> None:
    """Raise `PermissionDenied` unless `actor` may manage the event's team or `user_id` is the actor's own account."""
    if not is_self(actor, user_id):
        require(actor, Action.MANAGE_TEAM, event)
