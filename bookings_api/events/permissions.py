"""Permissions on events."""

from bookings_api.models import Event, EventStatus, User


def owns(user: User | None, event: Event) -> bool:
    """Whether `user` is the event's organizer."""
    return user is not None and event.organizer_id == user.id


def may_see(viewer: User | None, event: Event) -> bool:
    """Whether `viewer` may see the event. Only its organizer may see a draft, and no one a deleted event."""
    if event.deleted_at is not None:
        return False
    return event.status is not EventStatus.DRAFT or owns(viewer, event)
