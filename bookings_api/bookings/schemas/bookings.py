"""Schemas for bookings and their emails."""

from typing import Any

import marshmallow as ma

from bookings_api.http.openapi.examples import (
    BOOKED_AT,
    BOOKING_ID,
    EMAIL_ID,
    EMAILED_AT,
    EVENT_ID,
    GRACE_EMAIL,
    HELD_UNTIL,
    REFERENCE,
    URI_ID,
)
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import BookingStatus, EmailKind, EmailStatus
from bookings_api.ticket_types.schemas import ItemSchema


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
        metadata={"description": "When the booking was cancelled. `null` if it is not cancelled.", "example": None},
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
        metadata={
            "description": "The number of tickets of each type, and their prices when they were booked. Adding tickets"
            " of a type applies its current price to all of them.",
            "example": [ItemSchema.example()],
        },
    )
    amount_due = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The price of all tickets in minor units of `currency`, such as cents. It does not"
            " change with the prices of the event, unless you add tickets before the booking is confirmed.",
            "example": 0,
        },
    )
    currency = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The ISO 4217 code of the currency. `null` if the tickets are free.", "example": None},
    )
    held_until = ma.fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={
            "description": "When the hold ends. Keeps its value when the booking is confirmed, is cancelled or expires."
            " `null` if the booking was never held.",
            "example": None,
        },
    )
    position = ma.fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The place on the waiting list, from 1. `null` if not waiting.", "example": None},
    )
    tickets_ahead = ma.fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "The number of tickets in the bookings ahead on the waiting list. `null` if not waiting.",
            "example": None,
        },
    )
    refund_due = ma.fields.Boolean(
        required=True,
        metadata={
            "description": "Whether money must be refunded, because a payment was refused or the booking was reduced or"
            " cancelled. The event's payments show the amounts.",
            "example": False,
        },
    )


def priced_example(**changes: Any) -> dict[str, Any]:
    """Return an example of a booking for two tickets with a price."""
    price = {"items": [ItemSchema.example(price=1800)], "amount_due": 3600, "currency": "EUR"}
    return BookingSchema.example(**price | {"held_until": HELD_UNTIL} | changes)


def waiting_example() -> dict[str, Any]:
    """Return an example of a booking on the waiting list."""
    return BookingSchema.example(status=BookingStatus.WAITLISTED.value, position=1, tickets_ahead=0)


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
