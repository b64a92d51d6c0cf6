"""Gives bookings any status, and queues emails about them, without the services that usually do so."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, Event
from bookings_api.models.payloads import event_payload, guest_payload

IN_AN_HOUR = sa.func.now() + timedelta(hours=1)
AN_HOUR_AGO = sa.func.now() - timedelta(hours=1)

_COLUMNS: dict[BookingStatus, dict[str, Any]] = {
    BookingStatus.CONFIRMED: {"confirmed_at": sa.func.now()},
    BookingStatus.HELD: {"hold_minutes": 60, "held_until": IN_AN_HOUR, "confirmed_at": None},
    BookingStatus.WAITLISTED: {"waitlisted_at": sa.func.now(), "confirmed_at": None},
    BookingStatus.EXPIRED: {"confirmed_at": None},
    BookingStatus.CANCELLED: {"cancelled_at": sa.func.now()},
}


def set_status(database: sa.Engine, booking: dict[str, Any], status: BookingStatus, **columns: Any) -> None:
    """Change the status of a booking and any other columns. Like a service, increments the version."""
    values = _COLUMNS[status] | columns | {"status": status, "version": Booking.version + 1}
    with database.begin() as connection:
        connection.execute(sa.update(Booking).where(Booking.id == UUID(booking["id"])).values(values))


def queue_email_about(booking: dict[str, Any], kind: EmailKind) -> None:
    """Queue an email with the current data to the guest. Needs an application context."""
    with transaction() as tx:
        row = db.session.get_one(Booking, UUID(booking["id"]), populate_existing=True)
        event = db.session.get_one(Event, row.event_id, populate_existing=True)
        outbox.queue_email(
            tx,
            kind=kind,
            recipient=row.guest_email,
            payload=guest_payload(event_payload(event), row, None),
            booking_id=row.id,
            user_id=row.user_id,
        )
