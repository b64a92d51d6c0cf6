"""Finding events, and locking one."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.prepared import Prepared
from bookings_api.database.transactions import require_transaction
from bookings_api.errors import EventNotFound, NotAllowed
from bookings_api.events.permissions import may_see, owns
from bookings_api.extensions import db
from bookings_api.models import Event, EventSort, EventStatus, User, utcnow
from bookings_api.models.event import SEARCHED

# Every order is total, by the id at the end, so that pages do not overlap; the indexes of Event serve them.
_ORDERS = {
    EventSort.STARTS_AT: (Event.starts_at, Event.id),
    EventSort.LATEST_START: (Event.starts_at.desc(), Event.id.desc()),
    EventSort.TITLE: (Event.title, Event.id),
    EventSort.LAST_TITLE: (Event.title.desc(), Event.id.desc()),
    EventSort.CREATED_AT: (Event.created_at, Event.id),
    EventSort.NEWEST: (Event.created_at.desc(), Event.id.desc()),
}


_EVENT = Prepared("event", sa.select(Event).where(Event.id == sa.bindparam("event_id", type_=sa.Uuid())))


def upcoming_events(**filters: Any) -> sa.Select[Any]:
    """Published events that have not begun; `filters` as in `_listed`."""
    return _listed(Event.status == EventStatus.PUBLISHED, Event.starts_at > utcnow(), **filters)


def all_events(*, viewer: User | None, **filters: Any) -> sa.Select[Any]:
    """Every event, past and cancelled ones too, drafts only those of `viewer`; `filters` as in `_listed`."""
    public = Event.status != EventStatus.DRAFT
    return _listed(public if viewer is None else public | (Event.organizer_id == viewer.id), **filters)


def get_event(event_id: UUID, *, viewer: User | None) -> Event:
    """The event, if `viewer` may see it. Raises `EventNotFound`."""
    return require_visible(_EVENT.one_or_none(Event, event_id=event_id), viewer=viewer)


def require_visible(event: Event | None, *, viewer: User | None) -> Event:
    """An event that was looked up, if `viewer` may see it. Raises `EventNotFound`."""
    if event is None or not may_see(viewer, event):
        raise EventNotFound
    return event


def get_own_event(event_id: UUID, *, owner: User) -> Event:
    """The event, if it is the owner's. Raises `EventNotFound`, `NotAllowed`."""
    event = get_event(event_id, viewer=owner)
    if not owns(owner, event):
        raise NotAllowed("Only its organizer may see who comes to an event.")
    return event


def has_guests(event_id: UUID) -> bool:
    """Whether anybody has tickets for the event at this moment."""
    return bool(db.session.scalar(sa.select(Event.tickets_booked).where(Event.id == event_id)))


def lock_event(event_id: UUID, *, even_deleted: bool = False) -> Event:
    """The event with its row locked until the transaction ends: whoever comes next waits, then sees what we wrote.

    Raises `EventNotFound`, and `RuntimeError` outside a transaction.
    """
    require_transaction()
    locked = sa.select(Event).where(Event.id == event_id).with_for_update()
    # populate_existing: what an earlier read of this session left in memory is older than the lock
    event = db.session.scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    if event is None or (event.deleted_at is not None and not even_deleted):
        raise EventNotFound
    return event


def _listed(
    *criteria: sa.ColumnElement[bool],
    sort: EventSort = EventSort.STARTS_AT,
    q: str | None = None,
    starts_after: datetime | None = None,
    starts_before: datetime | None = None,
    organizer_id: UUID | None = None,
    min_available: int | None = None,
) -> sa.Select[Any]:
    """Events that are not deleted; `q` is part of title, location and description, one after the other, in any case.

    `starts_after` is inclusive, `starts_before` exclusive, so that neighbouring spans share no event.
    """
    query = sa.select(Event).where(Event.deleted_at.is_(None), *criteria)
    if q is not None:
        query = query.where(sa.literal_column(f"({SEARCHED})", sa.Text).ilike(_containing(q), escape="\\"))
    if starts_after is not None:
        query = query.where(Event.starts_at >= starts_after)
    if starts_before is not None:
        query = query.where(Event.starts_at < starts_before)
    if organizer_id is not None:
        query = query.where(Event.organizer_id == organizer_id)
    if min_available is not None:
        query = query.where(Event.capacity - Event.tickets_booked >= min_available)
    return query.order_by(*_ORDERS[sort])


def _containing(text: str) -> str:
    """A LIKE pattern in which the text's own % and _ mean themselves."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
