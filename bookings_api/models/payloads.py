"""The `payload` of outbox emails: what templates and calendars show of an event and a booking, as JSON."""

from typing import Any

from bookings_api.models.booking import Booking
from bookings_api.models.event import Event


def event_payload(event: Event) -> dict[str, Any]:
    return {
        "event_title": event.title,
        "location": event.location,
        "timezone": event.timezone,
        "contact_name": event.contact_name,
        "contact_email": event.contact_email,
        "starts_at": event.starts_at.isoformat(),
        "ends_at": event.ends_at.isoformat(),
        "event_version": event.version,
    }


def booking_payload(booking: Booking) -> dict[str, Any]:
    return {
        "reference": booking.reference,
        "guest_name": booking.guest_name,
        "ticket_count": booking.ticket_count,
        "booking_version": booking.version,
    }
