"""What emails and calendars say about an event and a booking, as JSON. Pure."""

from datetime import datetime
from typing import Any

from bookings_api.models import Booking, Event

# Payload keys of an event and the columns they come from.
EVENT_PAYLOAD = {
    "event_title": "title",
    "location": "location",
    "timezone": "timezone",
    "starts_at": "starts_at",
    "ends_at": "ends_at",
    "event_version": "version",
}


def event_payload(event: Event) -> dict[str, Any]:
    """The payload of an event; times are ISO 8601 in UTC."""
    values = {key: getattr(event, column) for key, column in EVENT_PAYLOAD.items()}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}


def guest_payload(booking: Booking) -> dict[str, Any]:
    """The payload of a booking."""
    return {
        "reference": booking.reference,
        "guest_name": booking.guest_name,
        "ticket_count": booking.ticket_count,
        "booking_version": booking.version,
    }
