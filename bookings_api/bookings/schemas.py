"""Schemas for bookings and their emails."""

import marshmallow as ma

from bookings_api.http.csv import CsvQuerySchema
from bookings_api.http.fields import Choice, EmailAddress, Identifier, Integer, Name, QueryBoolean, StringMap, Text
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
from bookings_api.http.schemas import PageQuerySchema, ResponseSchema
from bookings_api.models import BookingStatus, EmailKind, EmailStatus
from bookings_api.models.booking import MAX_EXTERNAL_ID, REFERENCE_LENGTH
from bookings_api.models.event import MAX_TICKETS_PER_BOOKING
from bookings_api.ticket_types.schemas import ItemSchema, TicketsSchema

_STATUS = "Return only bookings with this status."


class BookingSchema(ResponseSchema):
    """A booking."""

    id = ma.fields.UUID(required=True, metadata={"description": "The ID of the booking.", "example": BOOKING_ID})
    reference = ma.fields.String(
        required=True,
        metadata={"description": "The booking reference, which the guest shows at the door.", "example": REFERENCE},
    )
    event_id = ma.fields.UUID(required=True, metadata={"description": "The ID of the event.", "example": EVENT_ID})
    user_id = ma.fields.UUID(
        required=True,
        allow_none=True,
        metadata={
            "description": "The ID of the account that made the booking. `null` if an API key made the booking.",
            "example": URI_ID,
        },
    )
    ticket_count = ma.fields.Integer(
        required=True, metadata={"description": "The total number of tickets.", "example": 2}
    )
    guest_name = ma.fields.String(required=True, metadata={"description": "The name of the guest.", "example": "Grace"})
    guest_email = ma.fields.Email(
        required=True,
        metadata={
            "description": "The email of the guest, who receives the emails about the booking.",
            "example": GRACE_EMAIL,
        },
    )
    status = ma.fields.Enum(
        BookingStatus, by_value=ma.fields.String, required=True, metadata={"example": BookingStatus.CONFIRMED.value}
    )
    version = ma.fields.Integer(
        required=True,
        metadata={"description": "The version of the booking. Each change increases it by 1.", "example": 1},
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the booking was made.", "example": BOOKED_AT}
    )
    updated_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the booking last changed.", "example": BOOKED_AT}
    )
    cancelled_at = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the booking was cancelled. `null` if it is confirmed.", "example": None},
    )
    api_key_id = ma.fields.UUID(
        required=True,
        allow_none=True,
        metadata={
            "description": "The ID of the API key that made the booking. `null` if an account made the booking.",
            "example": None,
        },
    )
    booked_by = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The name of the API key at the time of booking. `null` if an account made the booking.",
            "example": None,
        },
    )
    external_id = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Your identifier for the booking. Only API keys can set it.", "example": None},
    )
    metadata = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        attribute="client_metadata",
        required=True,
        allow_none=True,
        metadata={"description": "Your own data about the booking. Only API keys can set it.", "example": None},
    )
    items = ma.fields.List(
        ma.fields.Nested(ItemSchema),
        required=True,
        metadata={"description": "The number of tickets of each type.", "example": [ItemSchema.example()]},
    )


class BookingCreateSchema(TicketsSchema):
    """The tickets to book. You are the guest unless you name another person. API keys must name the guest."""

    event_id = Identifier(required=True, metadata={"description": "The ID of the event.", "example": EVENT_ID})
    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={
            "description": (
                "The number of tickets, at most the event's `max_tickets_per_booking`. Defaults to 1. If several ticket"
                " types are on sale, send `items` instead."
            ),
            "example": 2,
        },
    )
    guest_name = Name(
        metadata={
            "description": "The name of the guest. Defaults to your name, or to your email if you have no name."
            " Required if you use an API key.",
            "example": "Grace",
        }
    )
    guest_email = EmailAddress(
        metadata={
            "description": "The email of the guest. Defaults to your email. Required if you use an API key.",
            "example": GRACE_EMAIL,
        }
    )
    external_id = Text(
        max_length=MAX_EXTERNAL_ID,
        metadata={
            "description": (
                "Your identifier for the booking, such as an order number. Only API keys can set it. Must be unique in"
                " your organization. If you repeat the same request, you get the existing booking."
            )
        },
    )
    metadata = StringMap(
        max_pairs=20,
        max_key_length=40,
        max_value_length=500,
        metadata={"description": "Your own data about the booking. Only API keys can set it."},
    )


class BookingChangeSchema(TicketsSchema):
    """The fields to change. Omitted fields keep their values."""

    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={
            "description": (
                "The number of tickets, at most the event's `max_tickets_per_booking`. If the booking contains several"
                " ticket types, send `items` instead."
            ),
            "example": 1,
        },
    )
    guest_name = Name(metadata={"description": "The name of the guest."})
    guest_email = EmailAddress(metadata={"description": "The email of the guest, who receives all further emails."})


class EmailSchema(ResponseSchema):
    """An email about a booking."""

    id = ma.fields.UUID(required=True, metadata={"description": "The ID of the email.", "example": EMAIL_ID})
    kind = ma.fields.Enum(
        EmailKind, by_value=ma.fields.String, required=True, metadata={"example": EmailKind.BOOKING_CONFIRMED.value}
    )
    recipient = ma.fields.Email(
        required=True, metadata={"description": "The address the email is sent to.", "example": GRACE_EMAIL}
    )
    status = ma.fields.Enum(
        EmailStatus,
        by_value=ma.fields.String,
        required=True,
        metadata={
            "description": "The delivery status. `dropped` means that the email was not sent, because it was outdated"
            " or the recipient had deleted their account.",
            "example": EmailStatus.SENT.value,
        },
    )
    attempts = ma.fields.Integer(
        required=True, metadata={"description": "The number of attempts to send the email.", "example": 1}
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the email was created.", "example": BOOKED_AT}
    )
    sent_at = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When the mail server accepted the email. `null` until then.", "example": EMAILED_AT},
    )
    next_attempt_at = ma.fields.AwareDateTime(
        attribute="due_at",
        required=True,
        allow_none=True,
        metadata={
            "description": "When the next attempt is due. `null` if no attempt is planned.",
            "example": None,
        },
    )
    last_error = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Why the last attempt failed, or why the email was dropped. Otherwise `null`.",
            "example": None,
        },
    )


class AttendeeQuerySchema(CsvQuerySchema):
    """Filters for an event's bookings."""

    status = Choice(*BookingStatus, metadata={"description": _STATUS})
    q = Text(
        max_length=100,
        metadata={
            "description": (
                "Return only bookings with each of these words in the guest name, guest email or reference. Ignores"
                " case, accents and word order. Only the 5 longest words are used."
            )
        },
    )
    reference = Text(
        max_length=REFERENCE_LENGTH,
        metadata={"description": "Return only the booking with this reference.", "example": REFERENCE},
    )
    email_status = Choice(
        EmailStatus.PENDING,
        EmailStatus.SENT,
        EmailStatus.FAILED,
        metadata={
            "description": (
                "Return only bookings whose latest email to the guest has this status. An email that is being sent"
                " counts as `pending`. Use `failed` to find guests who could not be reached."
            )
        },
    )


class BookingQuerySchema(PageQuerySchema):
    """Filters for your bookings."""

    status = Choice(*BookingStatus, metadata={"description": _STATUS})
    event_id = Identifier(metadata={"description": "Return only bookings for this event."})
    external_id = Text(
        max_length=MAX_EXTERNAL_ID, metadata={"description": "Return only the booking with this external ID."}
    )
    upcoming = QueryBoolean(
        metadata={
            "description": "Return only bookings for events that have not ended (`true`) or that have ended (`false`)."
        }
    )
