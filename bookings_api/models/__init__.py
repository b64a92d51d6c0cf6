"""Tables, constraints and small facts about one row. Models send no mail, build no URL and never commit."""

from bookings_api.models.base import Base, utcnow
from bookings_api.models.booking import Booking, BookingStatus
from bookings_api.models.event import Event, EventStatus
from bookings_api.models.outbox import UNSENT, MailKind, MailStatus, OutboxMail
from bookings_api.models.user import Role, User

__all__ = [
    "UNSENT",
    "Base",
    "Booking",
    "BookingStatus",
    "Event",
    "EventStatus",
    "MailKind",
    "MailStatus",
    "OutboxMail",
    "Role",
    "User",
    "utcnow",
]
