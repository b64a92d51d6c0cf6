"""Corrects wrong ticket counters and adds missing emails. These repairs need no human decision.

Each repair takes the same locks as a request, so that the service can keep running. After taking the locks, the repair
checks again whether the data is wrong.
"""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from bookings_api.database.transactions import transaction
from bookings_api.errors import EventNotFound
from bookings_api.extensions import db
from bookings_api.inventory.locking import lock_event
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingItem, BookingStatus, EmailKind, OutboxEmail, TicketType
from bookings_api.models.payloads import event_payload, guest_payload

# The kind of email that is missing if a rule is violated, by the name of the rule
REPAIR_EMAILS = {
    "confirmation_email_missing": EmailKind.BOOKING_CONFIRMED,
    "cancellation_email_missing": EmailKind.BOOKING_CANCELLED,
}


_BOOKED_OF_TYPES = (
    sa.select(BookingItem.ticket_type_id, sa.func.sum(BookingItem.count).label("booked"))
    .join(Booking, Booking.id == BookingItem.booking_id)
    .where(Booking.event_id == sa.bindparam("event_id"), Booking.status == BookingStatus.CONFIRMED)
    .group_by(BookingItem.ticket_type_id)
)


def recount_tickets(event_id: UUID) -> str | None:
    """Recalculate the ticket counters of an event and its ticket types.

    Returns a report, or None if there was nothing to repair. Does not repair an oversold event.
    """
    with transaction():
        try:
            event, _ = lock_event(event_id, include_deleted=True)
        except EventNotFound:
            return None
        booked = sa.select(sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0)).where(
            Booking.event_id == event_id, Booking.status == BookingStatus.CONFIRMED
        )
        # only a separate statement after the lock sees the commits of earlier lock holders
        actual, counted = db.session.scalars(booked).one(), event.tickets_booked
        counts = {
            row.ticket_type_id: row.booked for row in db.session.execute(_BOOKED_OF_TYPES, {"event_id": event_id})
        }
        types = db.session.scalars(sa.select(TicketType).where(TicketType.event_id == event_id)).all()
        if actual == counted and all(one.tickets_booked == counts.get(one.id, 0) for one in types):
            return None
        if actual > event.capacity:
            return f"event {event_id}: not repaired, because {actual} of {event.capacity} tickets are booked"
        for one in types:
            if one.capacity is not None and counts.get(one.id, 0) > one.capacity:
                return f"event {event_id}: not repaired, because tickets of type {one.id} are oversold"
        event.tickets_booked = actual
        for one in types:
            one.tickets_booked = counts.get(one.id, 0)
    if actual == counted:
        return f"event {event_id}: corrected tickets_booked of its ticket types"
    return f"event {event_id}: corrected tickets_booked from {counted} to {actual}"


def write_missing_email(rule: str, booking_id: UUID) -> str | None:
    """Add to the outbox the email that is missing according to `rule`, a key of `REPAIR_EMAILS`.

    Returns a report, or None if the email is no longer missing. Adds no email if the event has ended or no longer
    exists.
    """
    kind = REPAIR_EMAILS[rule]
    with transaction() as tx:
        event_id = db.session.scalars(sa.select(Booking.event_id).where(Booking.id == booking_id)).one()
        try:
            event, now = lock_event(event_id, include_deleted=True)
        except EventNotFound:
            return f"booking {booking_id}: no email written, because its event does not exist"
        locked = sa.select(Booking).where(Booking.id == booking_id).with_for_update(of=Booking)
        locked = locked.options(joinedload(Booking.user))
        booking = db.session.scalars(locked, execution_options={"populate_existing": True}).one()
        is_cancelled = booking.status is BookingStatus.CANCELLED
        of_kind = sa.select(OutboxEmail.id).where(OutboxEmail.booking_id == booking_id, OutboxEmail.kind == kind)
        if is_cancelled != (kind is EmailKind.BOOKING_CANCELLED) or db.session.scalars(of_kind.limit(1)).one_or_none():
            return None
        if event.ends_at <= now:
            return f"booking {booking_id}: no email written, because its event has ended"
        outbox.queue_email(
            tx,
            kind=kind,
            recipient=booking.guest_email,
            payload=guest_payload(event_payload(event), booking, booking.sender),
            booking_id=booking_id,
            user_id=booking.user_id,
        )
    return f"booking {booking_id}: {kind} email written"
