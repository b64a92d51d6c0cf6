"""Finding events, and locking one."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.errors import EventNotFound
from bookings_api.events.permissions import may_see
from bookings_api.extensions import db
from bookings_api.models import Event, EventStatus, User, utcnow
from bookings_api.transactions import require_transaction


def upcoming_events() -> sa.Select[Any]:
    """Published events that have not begun, the next one first."""
    return _listed(Event.status == EventStatus.PUBLISHED, Event.starts_at > utcnow())


def all_events(*, viewer: User | None) -> sa.Select[Any]:
    """Every event by its start, past and cancelled ones too; drafts only those of `viewer`."""
    public = Event.status != EventStatus.DRAFT
    return _listed(public if viewer is None else public | (Event.organizer_id == viewer.id))


def get_event(event_id: UUID, *, viewer: User | None) -> Event:
    """The event, if `viewer` may see it. Raises `EventNotFound`."""
    event = db.session.get(Event, event_id)
    if event is None or not may_see(viewer, event):
        raise EventNotFound
    return event


def lock_event(event_id: UUID) -> Event:
    """The event with its row locked until the transaction ends: whoever comes next waits, then sees what we wrote.

    Raises `EventNotFound`, and `RuntimeError` outside a transaction.
    """
    require_transaction()
    locked = sa.select(Event).where(Event.id == event_id, Event.deleted_at.is_(None)).with_for_update()
    # populate_existing: what an earlier read of this session left in memory is older than the lock
    event = db.session.scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    if event is None:
        raise EventNotFound
    return event


def _listed(*criteria: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(Event).where(Event.deleted_at.is_(None), *criteria).order_by(Event.starts_at, Event.id)
