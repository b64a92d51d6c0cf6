"""Bookings and their emails in requests and responses."""

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
        required=True,
        metadata={"description": "Booking reference, which the guest shows at the door.", "example": REFERENCE},
    )
    event_id = ma.fields.UUID(required=True, metadata={"example": EVENT_ID})
    user_id = ma.fields.UUID(
        required=True, metadata={"description": "Account that made the booking.", "example": URI_ID}
    )
    ticket_count = ma.fields.Integer(required=True, metadata={"example": 2})
    guest_name = ma.fields.String(required=True, metadata={"description": "Name of the guest.", "example": "Grace"})
    guest_email = ma.fields.Email(
        required=True,
        metadata={"description": "Address that emails about the booking are sent to.", "example": GRACE_EMAIL},
    )
    status = ma.fields.Enum(
        BookingStatus, by_value=ma.fields.String, required=True, metadata={"example": BookingStatus.CONFIRMED.value}
    )
    version = ma.fields.Integer(
        required=True, metadata={"description": "Number of the current version; each change raises it.", "example": 1}
    )
    created_at = ma.fields.AwareDateTime(required=True, metadata={"example": BOOKED_AT})
    updated_at = ma.fields.AwareDateTime(required=True, metadata={"example": BOOKED_AT})
    cancelled_at = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the booking was cancelled; null if it is confirmed.", "example": None},
    )


class BookingCreateSchema(BaseSchema):
    """Tickets to book. The guest defaults to the account's owner."""

    event_id = Identifier(required=True, metadata={"example": EVENT_ID})
    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        load_default=1,
        metadata={"description": "At most the event's `max_tickets_per_booking`.", "example": 2},
    )
    guest_name = Name(metadata={"description": "Defaults to the name of the account.", "example": "Grace"})
    guest_email = EmailAddress(
        metadata={"description": "Defaults to the address of the account.", "example": GRACE_EMAIL}
    )


class BookingChangeSchema(BaseSchema):
    """Changes to a booking. Fields that are not sent keep their values."""

    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={"description": "At most the event's `max_tickets_per_booking`.", "example": 1},
    )
    guest_name = Name()
    guest_email = EmailAddress(metadata={"description": "Address that further emails are sent to."})


class EmailSchema(ResponseSchema):
    """An email about a booking."""

    id = ma.fields.UUID(required=True, metadata={"example": EMAIL_ID})
    kind = ma.fields.Enum(
        EmailKind, by_value=ma.fields.String, required=True, metadata={"example": EmailKind.BOOKING_CONFIRMED.value}
    )
    recipient = ma.fields.Email(required=True, metadata={"example": GRACE_EMAIL})
    status = ma.fields.Enum(
        EmailStatus, by_value=ma.fields.String, required=True, metadata={"example": EmailStatus.SENT.value}
    )
    attempts = ma.fields.Integer(
        required=True, metadata={"description": "Number of attempts to send it.", "example": 1}
    )
    created_at = ma.fields.AwareDateTime(required=True, metadata={"example": BOOKED_AT})
    sent_at = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the mail server accepted it; null until then.", "example": EMAILED_AT},
    )
    next_attempt_at = ma.fields.AwareDateTime(
        attribute="due_at",
        required=True,
        allow_none=True,
        metadata={
            "description": "When the next attempt is due; null once it is sent or has failed.",
            "example": None,
        },
    )
    last_error = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Why the last attempt failed; null if no attempt has failed or the email is sent.",
            "example": None,
        },
    )


class AttendeeQuerySchema(PageQuerySchema):
    """Filters for the bookings of an event."""

    status = Choice(*BookingStatus, metadata={"description": "Only bookings with this status."})


class BookingQuerySchema(AttendeeQuerySchema):
    """Filters for your bookings."""

    event_id = Identifier(metadata={"description": "Only bookings for this event."})
    upcoming = QueryBoolean(
        metadata={
            "description": "`true`: only bookings for events that have not started; `false`: only for those that have."
        }
    )
