"""Who may see which booking."""

from bookings_api.models import Booking, User


def may_see(viewer: User, booking: Booking) -> bool:
    """Its user, and the organizer of its event as long as the account is an organizer's."""
    return booking.user_id == viewer.id or (viewer.is_organizer and booking.event.organizer_id == viewer.id)
