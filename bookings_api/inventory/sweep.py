"""The periodic task that ends expired holds and serves or closes waiting lists.

Correctness does not depend on it, because a request that needs the tickets of expired holds ends them itself. The task
keeps the public numbers current, and offers tickets to the waiting list even if there are no other requests.
"""

import logging
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from celery import shared_task
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.database.transactions import end_reading, transaction
from bookings_api.extensions import db
from bookings_api.inventory.holds import IS_OVER, end_expired_holds
from bookings_api.inventory.locking import lock_event
from bookings_api.inventory.waiting_list import close_waiting_list, serve_waiting_list
from bookings_api.models import Booking, Event, EventStatus

logger = logging.getLogger(__name__)

SWEEP_EVERY = timedelta(seconds=10)
BEAT_SCHEDULE = {
    "sweep-holds": {"task": "inventory.sweep", "schedule": SWEEP_EVERY, "options": {"expires": 3600}},
}

_is_closed = sa.func.coalesce(Event.booking_closes_at, Event.starts_at) <= sa.func.clock_timestamp()
_DUE = sa.union(
    sa.select(Booking.event_id).where(IS_OVER),
    sa.select(Booking.event_id)
    .join(Event, Event.id == Booking.event_id)
    .where(Booking.is_waiting, sa.or_(_is_closed, Event.tickets_available > 0)),
)


@shared_task(name="inventory.sweep")
def sweep() -> None:
    """Bring each event up to date that has expired holds, or a waiting list to be served or closed."""
    event_ids = db.session.scalars(_DUE).all()
    end_reading()
    for event_id in event_ids:
        bring_up_to_date(event_id)


def bring_up_to_date(event_id: UUID) -> None:
    """End an event's expired holds, and serve or close its waiting list. Only logs errors of the database."""
    try:
        while _sweep(event_id):
            pass
    except SQLAlchemyError:  # for example, the event is busy; the next run of the task tries again
        logger.exception("event %s was not swept", event_id)


def _sweep(event_id: UUID) -> bool:
    """Bring an event up to date. Returns true if its waiting list is closing and may have more parties."""
    with transaction() as tx:
        event, now = lock_event(event_id, include_deleted=True)
        end_expired_holds(tx, event, now=now)
        if event.status is not EventStatus.PUBLISHED or event.booking_ends_at <= now:
            return close_waiting_list(tx, event)
        serve_waiting_list(tx, event, now=now)
    return False
