"""What is told of an event and of a booking, in mails and calendars. Pure."""

from datetime import datetime
from typing import Any

from bookings_api.models import Booking, Event

# What is told of an event, and where that stands.
EVENT_PAYLOAD = {
    "event_title": "title",
    "location": "location",
    "timezone": "timezone",
    "starts_at": "starts_at",
    "ends_at": "ends_at",
    "event_version": "version",
}


def event_payload(event: Event) -> dict[str, Any]:
    """What is told of an event, as JSON can hold it; times are ISO 8601 in UTC, as PostgreSQL writes them, too."""
    values = {fact: getattr(event, column) for fact, column in EVENT_PAYLOAD.items()}
    return {fact: value.isoformat() if isinstance(value, datetime) else value for fact, value in values.items()}


def guest_payload(booking: Booking) -> dict[str, Any]:
    """What is told of a booking, as JSON can hold it."""
    return {
        "reference": booking.reference,
        "guest_name": booking.guest_name,
        "ticket_count": booking.ticket_count,
        "booking_version": booking.version,
    }
