"""Tables, constraints and small facts about one row. Models send no mail, build no URL and never commit."""

from bookings_api.models.base import Base, utcnow
from bookings_api.models.booking import Booking, BookingStatus
from bookings_api.models.event import Event, EventSort, EventStatus
from bookings_api.models.event_notice import EventNotice
from bookings_api.models.idempotency_key import IdempotencyKey
from bookings_api.models.outbox import UNSENT, MailKind, MailStatus, OutboxMail
from bookings_api.models.session import Session
from bookings_api.models.single_use_token import SingleUseToken, TokenPurpose
from bookings_api.models.user import Role, User

__all__ = [
    "UNSENT",
    "Base",
    "Booking",
    "BookingStatus",
    "Event",
    "EventNotice",
    "EventSort",
    "EventStatus",
    "IdempotencyKey",
    "MailKind",
    "MailStatus",
    "OutboxMail",
    "Role",
    "Session",
    "SingleUseToken",
    "TokenPurpose",
    "User",
    "utcnow",
]
