"""Cancels all bookings of an event."""

from datetime import datetime

import sqlalchemy as sa

from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.models import ACTIVE, Booking, BookingStatus, Event, TicketType


def cancel_bookings_of(event: Event, *, now: datetime) -> bool:
    """Cancel all bookings of a locked event in one statement, including holds and the waiting list.

    Returns whether there were any. The caller must then notify the guests. Stores the event's version in each booking,
    so that the broadcast includes only these bookings.
    """
    require_transaction()
    cancelled = db.session.execute(
        sa.update(Booking)
        .where(Booking.event_id == event.id, Booking.status.in_(ACTIVE))
        .values(
            status=BookingStatus.CANCELLED,
            cancelled_at=now,
            event_version=event.version,
            version=Booking.version + 1,
        ),
        execution_options={"synchronize_session": False},
    )
    event.tickets_booked = event.tickets_held = 0
    none_left = sa.update(TicketType).where(TicketType.event_id == event.id)
    db.session.execute(none_left.values(tickets_booked=0, tickets_held=0))
    return bool(cancelled.rowcount)  # type: ignore[attr-defined] # exists for UPDATE
