"""Emails about a single booking."""

from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, Event, User
from bookings_api.models.payloads import event_payload, guest_payload

# The kind of email that announces a booking with each status
_ANNOUNCEMENTS = {
    BookingStatus.CONFIRMED: EmailKind.BOOKING_CONFIRMED,
    BookingStatus.WAITLISTED: EmailKind.BOOKING_WAITLISTED,
    BookingStatus.HELD: EmailKind.BOOKING_OFFERED,
}


def announcement_of(booking: Booking) -> EmailKind | None:
    """Return the kind of email that announces a booking. None for bookings that are over, and for unannounced holds."""
    if booking.status is BookingStatus.HELD and not booking.was_announced:
        return None
    return _ANNOUNCEMENTS.get(booking.status)


def email_about(kind: EmailKind, booking: Booking, event: Event, sender: User | None) -> outbox.NewEmail:
    """Return the arguments for an email to the guest."""
    return {
        "kind": kind,
        "recipient": booking.guest_email,
        "payload": guest_payload(event_payload(event), booking, sender),
        "booking_id": booking.id,
        "user_id": booking.user_id,
    }
