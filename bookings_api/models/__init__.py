"""Tables and constraints. Models do not send email, build URLs or commit."""

from bookings_api.database.base import Base, utcnow
from bookings_api.models.booking import Booking, BookingStatus
from bookings_api.models.event import Event, EventCatalog, EventSort, EventStatus
from bookings_api.models.event_broadcast import EventBroadcast
from bookings_api.models.idempotency_key import IdempotencyKey
from bookings_api.models.login import Login
from bookings_api.models.one_time_token import OneTimeToken, TokenPurpose
from bookings_api.models.outbox import UNSENT, EmailKind, EmailStatus, OutboxEmail
from bookings_api.models.user import Role, User

__all__ = [
    "UNSENT",
    "Base",
    "Booking",
    "BookingStatus",
    "EmailKind",
    "EmailStatus",
    "Event",
    "EventBroadcast",
    "EventCatalog",
    "EventSort",
    "EventStatus",
    "IdempotencyKey",
    "Login",
    "OneTimeToken",
    "OutboxEmail",
    "Role",
    "TokenPurpose",
    "User",
    "utcnow",
]
