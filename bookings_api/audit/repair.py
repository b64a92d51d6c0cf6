"""What can be put right without knowing what happened: counters, from the bookings; and mails that are not there.

Each event, or booking, is a transaction of its own and locked as a request would lock it, so the service goes on
meanwhile; and it is looked at again under the lock, so that what was put right by then stays as it is.
"""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.calendar.payloads import event_payload, guest_payload
from bookings_api.database.transactions import transaction
from bookings_api.errors import EventNotFound
from bookings_api.events.queries import lock_event
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, OutboxEmail, utcnow

# The rule that is broken, and the mail that mends it.
MAILS = {
    "confirmation_missing": EmailKind.BOOKING_CONFIRMED,
    "cancellation_missing": EmailKind.BOOKING_CANCELLED,
}


def recount(event_id: UUID) -> str | None:
    """Set the event's counter to what its confirmed bookings hold; says what was done, or why not, if it was wrong."""
    with transaction():
        try:
            event = lock_event(event_id, even_deleted=True)
        except EventNotFound:
            return None
        held = sa.select(sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0)).where(
            Booking.event_id == event_id, Booking.status == BookingStatus.CONFIRMED
        )
        # a statement after the lock: it sees what those committed who had the lock before
        tickets, counted = db.session.scalars(held).one(), event.tickets_booked
        if tickets == counted:
            return None
        if tickets > event.capacity:
            return f"event {event_id} is left as it is: its bookings hold {tickets} of {event.capacity} seats"
        event.tickets_booked = tickets
    return f"event {event_id} counts {tickets} tickets as booked now, not {counted}"


def write_missing_mail(rule: str, booking_id: UUID) -> str | None:
    """Write the mail whose lack breaks `rule`, unless there is one by now; says what was done, or why not."""
    kind = MAILS[rule]
    with transaction() as tx:
        event_id = db.session.scalars(sa.select(Booking.event_id).where(Booking.id == booking_id)).one()
        try:
            event = lock_event(event_id, even_deleted=True)
        except EventNotFound:
            return f"booking {booking_id} gets no mail: its event is gone"
        locked = sa.select(Booking).where(Booking.id == booking_id).with_for_update()
        booking = db.session.scalars(locked, execution_options={"populate_existing": True}).one()
        is_cancelled = booking.status is BookingStatus.CANCELLED
        of_kind = sa.select(OutboxEmail.id).where(OutboxEmail.booking_id == booking_id, OutboxEmail.kind == kind)
        if is_cancelled != (kind is EmailKind.BOOKING_CANCELLED) or db.session.scalars(of_kind.limit(1)).one_or_none():
            return None
        if event.ends_at <= utcnow():
            return f"booking {booking_id} gets no mail: its event is over"
        outbox.queue_email(
            tx,
            kind=kind,
            recipient=booking.guest_email,
            payload=event_payload(event) | guest_payload(booking),
            booking_id=booking_id,
            user_id=booking.user_id,
        )
    return f"booking {booking_id} gets its mail: {kind}"
