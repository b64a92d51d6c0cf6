"""Who may see which booking."""

from bookings_api.models import Booking, User


def may_see(viewer: User, booking: Booking) -> bool:
    """Whether `viewer` made the booking or, as an organizer, owns its event."""
    return booking.user_id == viewer.id or (viewer.is_organizer and booking.event.organizer_id == viewer.id)
