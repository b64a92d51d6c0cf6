"""When tickets of an event can be had: as conditions on its row for PostgreSQL, and as errors that say what is wrong.

Of an event that somebody may see, `is_bookable` is true exactly when `require_open` and `require_seats` raise nothing.
"""

from datetime import datetime

import sqlalchemy as sa

from bookings_api.errors import EventNotOpen, SoldOut, TooManyTickets
from bookings_api.models import Event, EventStatus


def is_bookable(
    now: sa.ColumnElement[datetime], ticket_count: sa.ColumnElement[int]
) -> tuple[sa.ColumnElement[bool], ...]:
    """That the event of a row gives that many tickets to one booking now."""
    return (
        Event.deleted_at.is_(None),
        Event.status == EventStatus.PUBLISHED,
        Event.starts_at > now,
        sa.func.coalesce(Event.booking_opens_at <= now, sa.true()),
        sa.func.coalesce(Event.booking_closes_at > now, sa.true()),
        Event.max_tickets_per_booking >= ticket_count,
        Event.capacity - Event.tickets_booked >= ticket_count,
    )


def require_open(event: Event, *, now: datetime) -> None:
    """Raise `EventNotOpen` with the reason if tickets cannot be had at that moment."""
    if event.status is EventStatus.DRAFT:
        raise EventNotOpen("The event is not published yet.")
    if event.status is EventStatus.CANCELLED:
        raise EventNotOpen("The event is cancelled.")
    require_not_begun(event, now=now)
    if event.booking_opens_at and now < event.booking_opens_at:
        raise EventNotOpen(f"Booking opens at {event.booking_opens_at:%Y-%m-%dT%H:%M:%SZ}.")
    if event.booking_closes_at and now >= event.booking_closes_at:
        raise EventNotOpen("Booking for this event has closed.")


def require_not_begun(event: Event, *, now: datetime) -> None:
    """Raise `EventNotOpen` if the event has begun by then."""
    if event.starts_at <= now:
        raise EventNotOpen("The event has already started.")


def require_seats(event: Event, more: int, *, in_all: int) -> None:
    """Raise `TooManyTickets` or `SoldOut` unless a booking may have `in_all` tickets by taking `more`."""
    if in_all > event.max_tickets_per_booking:
        raise TooManyTickets(event.max_tickets_per_booking)
    if more > event.tickets_available:
        raise SoldOut(event.tickets_available)
