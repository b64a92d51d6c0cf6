"""Emails about a single booking."""

from bookings_api.models import Booking, BookingStatus, EmailKind

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
