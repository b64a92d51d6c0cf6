"""Schemas for the door list."""

import marshmallow as ma

from bookings_api.http.fields import Choice, Text
from bookings_api.http.openapi.examples import REFERENCE
from bookings_api.http.schemas import PageQuerySchema, ResponseSchema
from bookings_api.models import BookingStatus


class DoorListEntrySchema(ResponseSchema):
    """A booking on the door list."""

    reference = ma.fields.String(
        required=True,
        metadata={"description": "The booking reference.", "example": REFERENCE},
    )
    guest_name = ma.fields.String(
        required=True,
        metadata={"description": "The guest's name, or their email if they have no name.", "example": "Grace"},
    )
    ticket_count = ma.fields.Integer(required=True, metadata={"description": "The number of tickets.", "example": 2})
    status = ma.fields.Enum(
        BookingStatus,
        by_value=ma.fields.String,
        required=True,
        metadata={
            "description": "The status of the booking. Admit only guests with `confirmed` bookings.",
            "example": BookingStatus.CONFIRMED.value,
        },
    )


class DoorListQuerySchema(PageQuerySchema):
    """Filters for the door list."""

    status = Choice(*BookingStatus, metadata={"description": "Return only bookings with this status."})
    q = Text(
        max_length=100,
        metadata={
            "description": (
                "Return only bookings with each of these words in the guest name or reference. Ignores case, accents"
                " and word order. Only the 5 longest words are used."
            )
        },
    )
