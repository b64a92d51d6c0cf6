"""Bookings over HTTP."""

import marshmallow as ma

from bookings_api.http.fields import Choice, EmailAddress, Identifier, Integer, Name, QueryBoolean
from bookings_api.http.openapi.examples import (
    BOOKED_AT,
    BOOKING_ID,
    EMAIL_ID,
    EMAILED_AT,
    EVENT_ID,
    GRACE_EMAIL,
    REFERENCE,
    URI_ID,
)
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import BookingStatus, EmailKind, EmailStatus
from bookings_api.models.event import MAX_TICKETS_PER_BOOKING


class BookingSchema(ResponseSchema):
    """A booking."""

    id = ma.fields.UUID(required=True, metadata={"example": BOOKING_ID})
    reference = ma.fields.String(
        required=True, metadata={"description": "What the guest shows at the door.", "example": REFERENCE}
    )
    event_id = ma.fields.UUID(required=True, metadata={"example": EVENT_ID})
    user_id = ma.fields.UUID(required=True, metadata={"description": "Who has booked.", "example": URI_ID})
    ticket_count = ma.fields.Integer(required=True, metadata={"example": 2})
    guest_name = ma.fields.String(required=True, metadata={"description": "In whose name.", "example": "Grace"})
    guest_email = ma.fields.Email(
        required=True, metadata={"description": "Who gets the mails about it.", "example": GRACE_EMAIL}
    )
    status = ma.fields.Enum(
        BookingStatus, by_value=ma.fields.String, required=True, metadata={"example": BookingStatus.CONFIRMED.value}
    )
    version = ma.fields.Integer(required=True, metadata={"description": "Counts its changes.", "example": 1})
    created_at = ma.fields.AwareDateTime(required=True, metadata={"example": BOOKED_AT})
    updated_at = ma.fields.AwareDateTime(required=True, metadata={"example": BOOKED_AT})
    cancelled_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "Null while it is confirmed.", "example": None}
    )


class BookingCreateSchema(BaseSchema):
    """Tickets to book; the guest is the account's owner unless given."""

    event_id = Identifier(required=True, metadata={"example": EVENT_ID})
    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        load_default=1,
        metadata={"description": "At most the event's `max_tickets_per_booking`.", "example": 2},
    )
    guest_name = Name(metadata={"description": "Default: the account's.", "example": "Grace"})
    guest_email = EmailAddress(metadata={"description": "Default: the account's.", "example": GRACE_EMAIL})


class BookingChangeSchema(BaseSchema):
    """What may be changed of a booking; what is not given stays as it is."""

    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={"description": "At most the event's `max_tickets_per_booking`.", "example": 1},
    )
    guest_name = Name()
    guest_email = EmailAddress(metadata={"description": "From now on this one gets the mails."})


class EmailSchema(ResponseSchema):
    """A mail about a booking."""

    id = ma.fields.UUID(required=True, metadata={"example": EMAIL_ID})
    kind = ma.fields.Enum(
        EmailKind, by_value=ma.fields.String, required=True, metadata={"example": EmailKind.BOOKING_CONFIRMED.value}
    )
    recipient = ma.fields.Email(required=True, metadata={"example": GRACE_EMAIL})
    status = ma.fields.Enum(
        EmailStatus, by_value=ma.fields.String, required=True, metadata={"example": EmailStatus.SENT.value}
    )
    attempts = ma.fields.Integer(required=True, metadata={"description": "How often it was tried.", "example": 1})
    created_at = ma.fields.AwareDateTime(required=True, metadata={"example": BOOKED_AT})
    sent_at = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the mail server took it; null until then.", "example": EMAILED_AT},
    )
    next_attempt_at = ma.fields.AwareDateTime(
        attribute="due_at",
        required=True,
        allow_none=True,
        metadata={
            "description": "From when on it is tried next; null once it is sent or has failed.",
            "example": None,
        },
    )
    last_error = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Why the last attempt did not work, in words; null if none has failed, or it is sent.",
            "example": None,
        },
    )


class AttendeeQuerySchema(PageQuerySchema):
    """Which bookings of an event."""

    status = Choice(*BookingStatus, metadata={"description": "Bookings with this status."})


class BookingQuerySchema(AttendeeQuerySchema):
    """Which of one's own bookings."""

    event_id = Identifier(metadata={"description": "Bookings for this event."})
    upcoming = QueryBoolean(metadata={"description": "Only those for events that have not begun; false: that have."})
