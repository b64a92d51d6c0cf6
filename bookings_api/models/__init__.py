"""Database tables and constraints. Models do not send email, build URLs or commit."""

from bookings_api.database.base import Base
from bookings_api.models.api_key import ApiKey, Scope
from bookings_api.models.booking import ACTIVE, Booking, BookingStatus
from bookings_api.models.event import Event, EventCatalog, EventSort, EventStatus, Waitlist, WaitlistPolicy
from bookings_api.models.idempotency_key import IdempotencyKey
from bookings_api.models.organization import (
    MemberRole,
    Membership,
    Organization,
    OwnOrganization,
    OwnPerson,
    Person,
    TeamEntry,
    TeamMember,
    TeamRole,
)
from bookings_api.models.outbox import UNSENT, EmailKind, EmailStatus, EventBroadcast, OutboxEmail
from bookings_api.models.payment import Payment, PaymentRefusal
from bookings_api.models.ticket_type import BookingItem, TicketType
from bookings_api.models.user import Login, OneTimeToken, Role, TokenPurpose, User

__all__ = [
    "ACTIVE",
    "UNSENT",
    "ApiKey",
    "Base",
    "Booking",
    "BookingItem",
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
    "MemberRole",
    "Membership",
    "OneTimeToken",
    "Organization",
    "OutboxEmail",
    "OwnOrganization",
    "OwnPerson",
    "Payment",
    "PaymentRefusal",
    "Person",
    "Role",
    "Scope",
    "TeamEntry",
    "TeamMember",
    "TeamRole",
    "TicketType",
    "TokenPurpose",
    "User",
    "Waitlist",
    "WaitlistPolicy",
]
