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


_BOOKED, _HELD = (Booking.status == status for status in (BookingStatus.CONFIRMED, BookingStatus.HELD))
_COUNTS_OF_TYPES = (
    sa.select(
        BookingItem.ticket_type_id,
        sa.func.coalesce(sa.func.sum(BookingItem.count).filter(_BOOKED), 0),
        sa.func.coalesce(sa.func.sum(BookingItem.count).filter(_HELD), 0),
    )
    .join(Booking, Booking.id == BookingItem.booking_id)
    .where(Booking.event_id == sa.bindparam("event_id"))
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
        # only a separate statement after the lock sees the commits of earlier lock holders
        rows = db.session.execute(_COUNTS_OF_TYPES, {"event_id": event_id})
        of_types = {ticket_type_id: (booked, held) for ticket_type_id, booked, held in rows}
        counted = event.tickets_booked, event.tickets_held
        actual = sum(booked for booked, _ in of_types.values()), sum(held for _, held in of_types.values())
        types = db.session.scalars(sa.select(TicketType).where(TicketType.event_id == event_id)).all()
        is_correct = all((one.tickets_booked, one.tickets_held) == of_types.get(one.id, (0, 0)) for one in types)
        if actual == counted and is_correct:
            return None
        if sum(actual) > event.capacity:
            return f"event {event_id}: not repaired, because {sum(actual)} of {event.capacity} tickets are booked"
        for one in types:
            if one.capacity is not None and sum(of_types.get(one.id, (0, 0))) > one.capacity:
                return f"event {event_id}: not repaired, because tickets of type {one.id} are oversold"
        event.tickets_booked, event.tickets_held = actual
        for one in types:
            one.tickets_booked, one.tickets_held = of_types.get(one.id, (0, 0))
    if actual == counted:
        return f"event {event_id}: corrected the counters of its ticket types"
    counters = zip(("tickets_booked", "tickets_held"), counted, actual, strict=True)
    changes = [f"{name} from {before} to {after}" for name, before, after in counters if before != after]
    return f"event {event_id}: corrected {' and '.join(changes)}"


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
        status = BookingStatus.CANCELLED if kind is EmailKind.BOOKING_CANCELLED else BookingStatus.CONFIRMED
        of_kind = sa.select(OutboxEmail.id).where(OutboxEmail.booking_id == booking_id, OutboxEmail.kind == kind)
        if booking.status is not status or db.session.scalars(of_kind.limit(1)).one_or_none():
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
