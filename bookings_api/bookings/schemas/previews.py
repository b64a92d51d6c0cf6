"""Schemas for the response to a request that only checks whether tickets can be booked."""

import marshmallow as ma

from bookings_api.http.openapi.examples import EVENT_ID
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import BookingStatus
from bookings_api.ticket_types.schemas import ItemSchema


class RefusalSchema(ResponseSchema):
    """A reason why tickets cannot be booked."""

    code = ma.fields.String(
        required=True, metadata={"description": "The `code` of the problem.", "example": "sold-out"}
    )
    detail = ma.fields.String(
        required=True, metadata={"description": "The explanation.", "example": "Only 1 ticket is left."}
    )


class BookingPreviewSchema(ResponseSchema):
    """The result of a dry run: what the request would do now. Nothing is reserved."""

    event_id = ma.fields.UUID(required=True, metadata={"description": "The ID of the event.", "example": EVENT_ID})
    status = ma.fields.Enum(
        BookingStatus,
        by_value=ma.fields.String,
        required=True,
        allow_none=True,
        metadata={
            "description": "The status that the booking would have. `null` if the request would be refused.",
            "example": BookingStatus.CONFIRMED.value,
        },
    )
    ticket_count = ma.fields.Integer(
        required=True,
        metadata={"description": "The number of tickets that the booking would have. 0 if refused.", "example": 2},
    )
    items = ma.fields.List(
        ma.fields.Nested(ItemSchema),
        required=True,
        metadata={"description": "The number of tickets of each type.", "example": [ItemSchema.example()]},
    )
    amount_due = ma.fields.Integer(
        required=True,
        metadata={"description": "The price of all tickets in minor units of `currency`. 0 if refused.", "example": 0},
    )
    currency = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The ISO 4217 code of the currency. `null` if the tickets are free.", "example": None},
    )
    refusals = ma.fields.List(
        ma.fields.Nested(RefusalSchema),
        required=True,
        metadata={
            "description": "All reasons why the request would be refused. Empty if it would succeed.",
            "example": [],
        },
    )
