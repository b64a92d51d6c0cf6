"""Queries that read and lock events."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order, array_of, is_one_of, search, words_in
from bookings_api.database.prepared import Prepared, read_row
from bookings_api.errors import EventNotFound
from bookings_api.inventory.locking import lock_event
from bookings_api.inventory.waiting_list import has_waiting
from bookings_api.models import Event, EventSort, EventStatus
from bookings_api.models.event import SEARCHED, TITLE_ORDER
from bookings_api.permissions import Action, Actor, may_see, require, visible_drafts

_TITLE = sa.literal_column(TITLE_ORDER, sa.Text)

# An index supports each order. Each order ends with the ID, so that no two events have the same position.
_ORDERS = [
    Order(Event.starts_at, Event.id, name=EventSort.STARTS_AT),
    Order(Event.starts_at, Event.id, name=EventSort.STARTS_AT_DESC, is_descending=True),
    Order(_TITLE, Event.id, name=EventSort.TITLE),
    Order(_TITLE, Event.id, name=EventSort.TITLE_DESC, is_descending=True),
    Order(Event.created_at, Event.id, name=EventSort.CREATED_AT),
    Order(Event.created_at, Event.id, name=EventSort.CREATED_AT_DESC, is_descending=True),
]

# `starts_after` is inclusive and `starts_before` exclusive, so that no event is in two adjacent periods.
_FILTERS: dict[str, sa.ColumnElement[bool]] = {
    **words_in(sa.literal_column(SEARCHED, sa.Text)),
    "starts_after": Event.starts_at >= sa.bindparam("starts_after"),
    "starts_before": Event.starts_at < sa.bindparam("starts_before"),
    "organizer_id": Event.organizer_id == sa.bindparam("organizer_id"),
    "min_available": Event.tickets_available >= sa.bindparam("min_available", type_=sa.Integer),
}


_EVENTS = sa.select(Event).where(Event.deleted_at.is_(None))
_IS_UPCOMING = sa.and_(Event.status == EventStatus.PUBLISHED, Event.ends_at > sa.func.now())


# the SQL equivalent of `permissions.may_see`
_IS_VISIBLE = sa.or_(
    Event.status != EventStatus.DRAFT,
    is_one_of(Event.organization_id, "organizations"),
    sa.and_(Event.organizer_id == sa.bindparam("viewer_id"), is_one_of(Event.organization_id, "own_in")),
    sa.and_(
        is_one_of(Event.id, "events"),
        Event.organizer_id == sa.func.coalesce(sa.bindparam("only_of", type_=sa.Uuid), Event.organizer_id),
    ),
)

_UPCOMING_EVENTS = ListQuery(_EVENTS.where(_IS_UPCOMING), filters=_FILTERS, orders=_ORDERS)
_VISIBLE_EVENTS = ListQuery(_EVENTS.where(_IS_VISIBLE), filters=_FILTERS, orders=_ORDERS)

_EVENT = Prepared("event", sa.select(Event).where(Event.id == sa.bindparam("event_id", type_=sa.Uuid())))


def upcoming_events(*, sort: EventSort = EventSort.STARTS_AT, q: str | None = None, **filters: Any) -> Listing:
    """Return the published events that have not ended. The filters are those of `EventQuerySchema`."""
    return _UPCOMING_EVENTS(sort, **search(q), **filters)


def all_events(
    *, viewer: Actor | None, sort: EventSort = EventSort.STARTS_AT, q: str | None = None, **filters: Any
) -> Listing:
    """Return all events that `viewer` may see, including past events, cancelled events and drafts.

    The filters are those of `EventQuerySchema`.
    """
    drafts = visible_drafts(viewer)
    return _VISIBLE_EVENTS(
        sort,
        viewer_id=viewer.responsible_id if viewer else None,
        organizations=array_of(drafts.organizations),
        own_in=array_of(drafts.own_in),
        events=array_of(drafts.events),
        only_of=drafts.organizer,
        **search(q),
        **filters,
    )


def get_event(event_id: UUID, *, viewer: Actor | None) -> Event:
    """Return an event. Raises `EventNotFound` unless `viewer` may see it."""
    return require_visible(_EVENT.one_or_none(Event, event_id=event_id), viewer=viewer)


def read_public_event(connection: sa.Connection, event_id: UUID) -> Event | None:
    """Read an event on the given connection. Returns None unless anonymous clients may see the event."""
    rows = _EVENT.on(connection, event_id=event_id)
    event = read_row(Event, rows[0]) if rows else None
    return event if event is not None and may_see(None, event) else None


def require_visible(event: Event | None, *, viewer: Actor | None) -> Event:
    """Return `event`. Raises `EventNotFound` if it is None or `viewer` may not see it."""
    if event is None or not may_see(viewer, event):
        raise EventNotFound
    return event


def get_event_for(actor: Actor, action: Action, event_id: UUID) -> Event:
    """Return an event if `actor` may perform `action` on it. Raises `EventNotFound` or `PermissionDenied`."""
    event = get_event(event_id, viewer=actor)
    require(actor, action, event)
    return event


def has_guests(actor: Actor, event_id: UUID) -> bool:
    """Whether the event has any guests, including those who wait for tickets.

    Raises `EventNotFound`, or `PermissionDenied` if `actor` may not edit the event.
    """
    event = get_event_for(actor, Action.EDIT_EVENT, event_id)
    return event.tickets_booked + event.tickets_held > 0 or has_waiting(event)


def lock_event_for(actor: Actor, action: Action, event_id: UUID) -> tuple[Event, datetime]:
    """Lock an event if `actor` may perform `action` on it. Returns the event and the time when it was locked.

    Raises `EventNotFound` or `PermissionDenied`.
    """
    event, now = lock_event(event_id)
    require_visible(event, viewer=actor)
    require(actor, action, event)
    return event, now
