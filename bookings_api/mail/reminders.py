"""Reminders of events that start soon: one per confirmed booking.

One transaction writes a reminder and sets `reminded_at`, so no guest is missed or reminded twice, even after an outage.
"""

from datetime import timedelta

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
    """Write up to `BATCH` reminders of events that start within `REMINDER_HOURS`, and return how many."""
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
            Booking.reminded_at.is_(None),
        )
        .limit(BATCH)
        .with_for_update(of=Booking, skip_locked=True)
    )
    bookings = db.session.scalars(due, execution_options={"populate_existing": True}).all()
    for booking in bookings:
        outbox.add_email(
            kind=EmailKind.EVENT_REMINDER,
            recipient=booking.guest_email,
            payload=event_payload(booking.event) | guest_payload(booking, booking.user),
            booking_id=booking.id,
            user_id=booking.user_id,
        )
    db.session.execute(
        sa.update(Booking).where(Booking.id.in_([booking.id for booking in bookings])).values(reminded_at=now),
        execution_options={"synchronize_session": False},
    )
    return len(bookings)


def forget(reminder: OutboxEmail) -> None:
    """Have the reminder of a booking written again, with the current details, if it is still due."""
    require_transaction()
    db.session.execute(
        sa.update(Booking).where(Booking.id == reminder.booking_id).values(reminded_at=None),
        execution_options={"synchronize_session": False},
    )
