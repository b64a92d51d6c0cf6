"""What users do with tickets."""

from functools import partial
from uuid import UUID

from bookings_api.errors import EventNotFound, EventNotOpen, SoldOut, TooManyTickets
from bookings_api.events.permissions import may_see
from bookings_api.events.queries import lock_event
from bookings_api.extensions import db
from bookings_api.mail import messages, outbox, tasks
from bookings_api.models import Booking, Event, EventStatus, MailKind, User, utcnow
from bookings_api.transactions import transaction


def book_tickets(
    *,
    user: User,
    event_id: UUID,
    ticket_count: int = 1,
    guest_name: str | None = None,
    guest_email: str | None = None,
) -> Booking:
    """Book `ticket_count` tickets for `user`, in the name of the guest or, by default, of the account.

    The booking, the event's counter and the confirmation mail are written in one transaction, under a lock on
    the event's row; so of any number of buyers at once each sees what the one before left over.

    Raises `EventNotFound`, `EventNotOpen`, `TooManyTickets`, `SoldOut`; then nothing is written.
    """
    with transaction() as tx:
        event = lock_event(event_id)
        _require_open(event, user)
        if ticket_count > event.max_tickets_per_booking:
            raise TooManyTickets(event.max_tickets_per_booking)
        if ticket_count > event.tickets_available:
            raise SoldOut(event.tickets_available)
        booking = Booking(
            event=event,
            user_id=user.id,
            ticket_count=ticket_count,
            guest_name=guest_name or user.name or user.email,
            guest_email=guest_email or user.email,
        )
        db.session.add(booking)
        event.tickets_booked += ticket_count
        db.session.flush()
        mail = outbox.put(
            kind=MailKind.BOOKING_CONFIRMED,
            recipient=booking.guest_email,
            facts=messages.booking_facts(booking, event),
            booking_id=booking.id,
            user_id=user.id,
        )
        tx.after_commit(partial(tasks.enqueue, mail))
    return booking


def _require_open(event: Event, user: User) -> None:
    """Raise `EventNotOpen` with the reason, or `EventNotFound` for what `user` may not know of."""
    now = utcnow()
    if not may_see(user, event):
        raise EventNotFound
    if event.status is EventStatus.DRAFT:
        raise EventNotOpen("The event is not published yet.")
    if event.status is EventStatus.CANCELLED:
        raise EventNotOpen("The event is cancelled.")
    if event.starts_at <= now:
        raise EventNotOpen("The event has already started.")
    if event.booking_opens_at and now < event.booking_opens_at:
        raise EventNotOpen(f"Booking opens at {event.booking_opens_at:%Y-%m-%dT%H:%M:%SZ}.")
    if event.booking_closes_at and now >= event.booking_closes_at:
        raise EventNotOpen("Booking for this event has closed.")
