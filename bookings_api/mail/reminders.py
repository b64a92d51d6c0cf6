"""Reminders of events that start soon: one per confirmed booking and start time.

A reminder and the booking's `reminded_for` are written in the same transaction. Therefore no guest is missed or
reminded twice of the same start time, even after an outage.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import contains_eager, joinedload

from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, Event, EventStatus, OutboxEmail
from bookings_api.models.payloads import event_payload, guest_payload

BATCH = 500


def write_next_batch() -> int:
    """Write at most `BATCH` reminders of events that start within `REMINDER_HOURS`. Returns the number written."""
    require_transaction()
    lead_time = timedelta(hours=current_app.config["REMINDER_HOURS"])
    now = sa.func.now()
    due = (
        sa.select(Booking)
        .join(Booking.event)
        .options(contains_eager(Booking.event), joinedload(Booking.user))
        .where(
            Event.status == EventStatus.PUBLISHED,
            Event.deleted_at.is_(None),
            Event.starts_at > now,
            Event.starts_at <= now + lead_time,
            Booking.status == BookingStatus.CONFIRMED,
            # IS DISTINCT FROM cannot use an index
            sa.or_(
                Booking.reminded_for.is_(None),
                Booking.reminded_for < Event.starts_at,
                Booking.reminded_for > Event.starts_at,
            ),
        )
        # puts a guest's bookings for an event into one batch where possible, so that one message covers all of them
        .order_by(Booking.event_id, sa.func.lower(Booking.guest_email), Booking.id)
        .limit(BATCH)
        .with_for_update(of=Booking, skip_locked=True)
    )
    bookings = db.session.scalars(due, execution_options={"populate_existing": True}).all()
    outbox.recheck_waiting([booking.id for booking in bookings])
    for booking in bookings:
        booking.reminded_for = booking.event.starts_at
        outbox.add_email(
            kind=EmailKind.EVENT_REMINDER,
            recipient=booking.guest_email,
            payload=guest_payload(event_payload(booking.event), booking, booking.sender),
            booking_id=booking.id,
            user_id=booking.user_id,
            event_id=booking.event_id,
        )
    return len(bookings)


def forget(reminder: OutboxEmail) -> None:
    """Reset `reminded_for`, so that a later batch writes the reminder again if it is still due."""
    require_transaction()
    db.session.execute(
        sa.update(Booking)
        .where(
            Booking.id == reminder.booking_id,
            Booking.reminded_for == datetime.fromisoformat(reminder.payload["starts_at"]),
        )
        .values(reminded_for=None),
        execution_options={"synchronize_session": False},
    )
