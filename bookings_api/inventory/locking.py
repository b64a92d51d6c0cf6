"""Locks an event. All decisions about its tickets happen under this lock."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from bookings_api.database.transactions import require_transaction
from bookings_api.errors import EventNotFound
from bookings_api.extensions import db
from bookings_api.models import Event


def lock_event(event_id: UUID, *, include_deleted: bool = False) -> tuple[Event, datetime]:
    """Lock an event until the transaction ends, and return its current state and the time when it was locked.

    Raises `EventNotFound` if the event does not exist, or if it is deleted and `include_deleted` is false. Raises
    `RuntimeError` outside a transaction.
    """
    require_transaction()
    # PostgreSQL evaluates the subquery first, and therefore reads its clock after waiting for the lock
    event = aliased(Event, sa.select(Event).where(Event.id == event_id).with_for_update().subquery())
    locked = sa.select(event, sa.func.clock_timestamp())
    # populate_existing refreshes an object that the session read before the lock was acquired
    row = db.session.execute(locked, execution_options={"populate_existing": True}).one_or_none()
    if row is None or (row[0].deleted_at is not None and not include_deleted):
        raise EventNotFound
    return row[0], row[1]
