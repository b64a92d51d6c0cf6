"""Permissions on bookings."""

from bookings_api.models import Booking, Event, User


def may_manage(user: User, booking: Booking) -> bool:
    """Whether `user` may see, change and cancel the booking, as its buyer or as the event's organizer."""
    return booking.user_id == user.id or organizes(user, booking.event)


def organizes(user: User, event: Event) -> bool:
    """Whether `user` is the event's organizer, who may change its bookings until it ends."""
    return user.is_organizer and event.organizer_id == user.id
