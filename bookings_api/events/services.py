"""What organizers do with events."""

from datetime import datetime

from bookings_api.extensions import db
from bookings_api.models import Event, EventStatus, User
from bookings_api.transactions import transaction


def create_event(
    *,
    organizer: User,
    title: str,
    location: str,
    timezone: str,
    starts_at: datetime,
    ends_at: datetime,
    capacity: int,
    max_tickets_per_booking: int,
    description: str = "",
    status: EventStatus = EventStatus.PUBLISHED,
    booking_opens_at: datetime | None = None,
    booking_closes_at: datetime | None = None,
) -> Event:
    """Create an event of `organizer`; times are aware, `timezone` is the IANA zone that people there live in."""
    event = Event(
        organizer_id=organizer.id,
        title=title,
        description=description,
        location=location,
        timezone=timezone,
        starts_at=starts_at,
        ends_at=ends_at,
        capacity=capacity,
        max_tickets_per_booking=max_tickets_per_booking,
        status=status,
        booking_opens_at=booking_opens_at,
        booking_closes_at=booking_closes_at,
    )
    with transaction():
        db.session.add(event)
    return event
