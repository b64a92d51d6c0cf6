"""Who may see which booking."""

from bookings_api.models import Booking, User


def may_see(viewer: User, booking: Booking) -> bool:
    """Its user, and the organizer of its event."""
    return viewer.id in (booking.user_id, booking.event.organizer_id)
