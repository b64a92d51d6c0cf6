"""Ends holds whose time is up, and gives their tickets to the waiting list."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from bookings_api.database.prepared import run
from bookings_api.database.transactions import Transaction, require_transaction
from bookings_api.extensions import db
from bookings_api.inventory.counters import release
from bookings_api.inventory.notices import notify
from bookings_api.inventory.waiting_list import serve_waiting_list
from bookings_api.models import Booking, BookingItem, BookingStatus, EmailKind, Event

# holds whose time is up, according to the database's clock
IS_OVER = sa.and_(Booking.is_held, Booking.held_until <= sa.func.clock_timestamp())


def end_expired_holds(tx: Transaction, event: Event, *, now: datetime) -> None:
    """End a locked event's expired holds, then serve its waiting list with the released tickets.

    Guests who had been promoted from the waiting list are notified that their offer has expired.
    """
    require_transaction()
    ended = db.session.execute(
        sa.update(Booking)
        .where(Booking.event_id == event.id, Booking.is_held, Booking.held_until <= now)
        .values(status=BookingStatus.EXPIRED, version=Booking.version + 1)
        .returning(Booking.id, Booking.waitlisted_at),
        execution_options={"synchronize_session": False},
    ).all()
    if not ended:
        return
    of_ended = BookingItem.booking_id.in_([row.id for row in ended])
    counts = sa.select(BookingItem.ticket_type_id, sa.func.sum(BookingItem.count)).where(of_ended)
    released = {row[0]: row[1] for row in db.session.execute(counts.group_by(BookingItem.ticket_type_id))}
    for statement in release(event, released, BookingStatus.HELD):
        run(statement)
    db.session.refresh(event, ["tickets_held", "updated_at"])
    offers = [row.id for row in ended if row.waitlisted_at]
    if offers:
        query = sa.select(Booking).where(Booking.id.in_(offers)).options(joinedload(Booking.user))
        expired = db.session.scalars(query.order_by(Booking.id), execution_options={"populate_existing": True}).all()
        notify(tx, EmailKind.BOOKING_EXPIRED, event, expired)
    serve_waiting_list(tx, event, now=now)
