"""Bookings over HTTP."""

import marshmallow as ma

from bookings_api.http.fields import Choice, EmailAddress, Identifier, Integer, Name, QueryBoolean
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import BookingStatus, MailKind, MailStatus
from bookings_api.models.event import MAX_TICKETS_PER_BOOKING


class BookingSchema(ResponseSchema):
    """A booking."""

    id = ma.fields.UUID(required=True)
    reference = ma.fields.String(
        required=True, metadata={"description": "What the guest shows at the door.", "example": "K7M3PTW9XA"}
    )
    event_id = ma.fields.UUID(required=True)
    user_id = ma.fields.UUID(required=True)
    ticket_count = ma.fields.Integer(required=True, metadata={"example": 2})
    guest_name = ma.fields.String(required=True, metadata={"example": "Grace Hopper"})
    guest_email = ma.fields.Email(required=True, metadata={"example": "grace@example.com"})
    status = ma.fields.Enum(BookingStatus, by_value=ma.fields.String, required=True)
    version = ma.fields.Integer(required=True)
    created_at = ma.fields.AwareDateTime(required=True)
    updated_at = ma.fields.AwareDateTime(required=True)
    cancelled_at = ma.fields.AwareDateTime(required=True, allow_none=True)


class BookingCreateSchema(BaseSchema):
    """Tickets to book; the guest is the account's owner unless given."""

    event_id = Identifier(required=True)
    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        load_default=1,
        metadata={"description": "At most the event's max_tickets_per_booking.", "example": 2},
    )
    guest_name = Name(metadata={"example": "Grace Hopper"})
    guest_email = EmailAddress(metadata={"example": "grace@example.com"})


class BookingChangeSchema(BaseSchema):
    """What may be changed of a booking; what is not given stays as it is."""

    ticket_count = Integer(minimum=1, maximum=MAX_TICKETS_PER_BOOKING, metadata={"example": 3})
    guest_name = Name(metadata={"example": "Grace Hopper"})
    guest_email = EmailAddress(metadata={"example": "grace@example.com"})


class EmailSchema(ResponseSchema):
    """A mail about a booking."""

    id = ma.fields.UUID(required=True)
    kind = ma.fields.Enum(
        MailKind, by_value=ma.fields.String, required=True, metadata={"example": MailKind.BOOKING_CONFIRMED.value}
    )
    recipient = ma.fields.Email(required=True, metadata={"example": "grace@example.com"})
    status = ma.fields.Enum(
        MailStatus, by_value=ma.fields.String, required=True, metadata={"example": MailStatus.PENDING.value}
    )
    attempts = ma.fields.Integer(required=True, metadata={"description": "How often it was tried.", "example": 1})
    created_at = ma.fields.AwareDateTime(required=True, metadata={"example": "2030-06-01T12:00:00+00:00"})
    sent_at = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the mail server took it; null until then.", "example": None},
    )
    next_attempt_at = ma.fields.AwareDateTime(
        attribute="due_at",
        required=True,
        allow_none=True,
        metadata={
            "description": "From when on it is tried next; null once it is sent or has failed.",
            "example": "2030-06-01T12:00:30+00:00",
        },
    )
    last_error = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Why the last attempt did not work, in words; null if none has failed, or it is sent.",
            "example": "The mail server could not be reached.",
        },
    )


class AttendeeQuerySchema(PageQuerySchema):
    """Which bookings of an event."""

    status = Choice(*BookingStatus)


class BookingQuerySchema(AttendeeQuerySchema):
    """Which of one's own bookings."""

    event_id = Identifier()
    upcoming = QueryBoolean(metadata={"description": "Only those for events that have not begun; false: that have."})
