"""Schemas for ticket types, and for the tickets of each type in a booking."""

from typing import Any

import marshmallow as ma

from bookings_api.http.fields import Boolean, EmailedText, Identifier, Instant, Integer, Text
from bookings_api.http.openapi.examples import EVENT_ID, PUBLISHED_AT, TICKET_TYPE_ID
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models.event import MAX_CAPACITY, MAX_TICKETS_PER_BOOKING
from bookings_api.models.ticket_type import DEFAULT_TYPE_NAME, MAX_POSITION, MAX_PRICE, MAX_TYPES_PER_EVENT

_NAME = "The name of the ticket type. Cannot contain links."
_DESCRIPTION = "The description of the ticket type, in plain text."
_PRICE = "The price of a ticket in minor units of the event's `currency`, such as cents. 0 if the ticket is free."
_CAPACITY = (
    "The total number of tickets of this type, at most the event's capacity. `null` means that only the event's"
    " capacity applies."
)
_OPENS = "When sales of this type open. If `null`, sales open when booking for the event opens."
_CLOSES = (
    "When sales of this type close. If `null`, sales close when booking for the event closes. Guests who are already on"
    " the waiting list can still be promoted."
)
_LIMIT = "The maximum number of tickets of this type per booking. `null` means that only the event's limit applies."
_HIDDEN = "Whether the type is hidden. You can see and book hidden types only if you manage the event."
_POSITION = "The position of the type in lists. Types with a lower position come first."


class TicketTypeSchema(ResponseSchema):
    """A kind of ticket for an event."""

    id = ma.fields.UUID(
        required=True, metadata={"description": "The ID of the ticket type.", "example": TICKET_TYPE_ID}
    )
    event_id = ma.fields.UUID(required=True, metadata={"description": "The ID of the event.", "example": EVENT_ID})
    name = ma.fields.String(
        required=True, metadata={"description": "The name of the ticket type.", "example": DEFAULT_TYPE_NAME}
    )
    description = ma.fields.String(required=True, metadata={"description": _DESCRIPTION, "example": ""})
    price = ma.fields.Integer(required=True, metadata={"description": _PRICE, "example": 0})
    capacity = ma.fields.Integer(required=True, allow_none=True, metadata={"description": _CAPACITY, "example": None})
    tickets_available = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The number of tickets of this type that are left. At most the event's `tickets_available`.",
            "example": 1,
        },
    )
    sales_open_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": _OPENS, "example": None}
    )
    sales_close_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": _CLOSES, "example": None}
    )
    max_per_booking = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": _LIMIT, "example": None}
    )
    is_hidden = ma.fields.Boolean(required=True, metadata={"description": _HIDDEN, "example": False})
    position = ma.fields.Integer(required=True, metadata={"description": _POSITION, "example": 0})
    version = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The version of the ticket type. Each change increases it by 1. Bookings do not change it.",
            "example": 1,
        },
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the ticket type was created.", "example": PUBLISHED_AT}
    )


class TypeCapacitySchema(ResponseSchema):
    """The ticket counts of one ticket type."""

    ticket_type_id = ma.fields.UUID(
        required=True, metadata={"description": "The ID of the ticket type.", "example": TICKET_TYPE_ID}
    )
    name = ma.fields.String(
        required=True, metadata={"description": "The name of the ticket type.", "example": DEFAULT_TYPE_NAME}
    )
    capacity = ma.fields.Integer(required=True, allow_none=True, metadata={"description": _CAPACITY, "example": None})
    tickets_booked = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets in confirmed bookings.", "example": 2}
    )
    tickets_held = ma.fields.Integer(
        required=True,
        metadata={"description": "The number of tickets held for bookings that are not confirmed yet.", "example": 0},
    )
    tickets_available = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets left.", "example": 1}
    )
    tickets_waiting = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets that people wait for.", "example": 0}
    )


class CapacitySchema(ResponseSchema):
    """The ticket counts of an event and its ticket types, all read at the same moment."""

    capacity = ma.fields.Integer(required=True, metadata={"description": "The total number of tickets.", "example": 3})
    tickets_booked = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets in confirmed bookings.", "example": 2}
    )
    tickets_held = ma.fields.Integer(
        required=True,
        metadata={"description": "The number of tickets held for bookings that are not confirmed yet.", "example": 0},
    )
    tickets_available = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets left.", "example": 1}
    )
    tickets_waiting = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets that people wait for.", "example": 0}
    )
    ticket_types = ma.fields.List(
        ma.fields.Nested(TypeCapacitySchema),
        required=True,
        metadata={"description": "The ticket types, sorted by position.", "example": [TypeCapacitySchema.example()]},
    )


class _TicketTypeFields(BaseSchema):
    price = Integer(
        minimum=0, maximum=MAX_PRICE, metadata={"description": f"{_PRICE} Existing bookings are unaffected."}
    )
    capacity = Integer(
        minimum=1,
        maximum=MAX_CAPACITY,
        allow_none=True,
        metadata={"description": _CAPACITY, "example": 2},
    )
    sales_open_at = Instant(allow_none=True, metadata={"description": _OPENS})
    sales_close_at = Instant(allow_none=True, metadata={"description": _CLOSES})
    max_per_booking = Integer(
        minimum=1, maximum=MAX_TICKETS_PER_BOOKING, allow_none=True, metadata={"description": _LIMIT}
    )
    is_hidden = Boolean(metadata={"description": _HIDDEN})


class TicketTypeCreateSchema(_TicketTypeFields):
    """A new ticket type."""

    name = EmailedText(max_length=100, required=True, metadata={"description": _NAME, "example": "Front row"})
    description = Text(max_length=1_000, min_length=0, multiline=True, metadata={"description": _DESCRIPTION})
    position = Integer(
        minimum=0, maximum=MAX_POSITION, metadata={"description": f"{_POSITION} Defaults to the end of the list."}
    )


class TicketTypeChangeSchema(_TicketTypeFields):
    """The fields to change. Omitted fields keep their values."""

    name = EmailedText(max_length=100, metadata={"description": _NAME, "example": "Front row"})
    description = Text(max_length=1_000, min_length=0, multiline=True, metadata={"description": _DESCRIPTION})
    position = Integer(minimum=0, maximum=MAX_POSITION, metadata={"description": _POSITION})


class TicketTypeQuerySchema(PageQuerySchema):
    """Parameters of the list of ticket types, which is sorted by position or, with `after`, by creation."""

    @ma.post_load
    def _sort(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {"sort": "id" if "after" in data else "position"} | data


class ItemSchema(ResponseSchema):
    """The tickets of one type in a booking."""

    ticket_type_id = ma.fields.UUID(
        required=True, metadata={"description": "The ID of the ticket type.", "example": TICKET_TYPE_ID}
    )
    name = ma.fields.String(
        required=True, metadata={"description": "The name of the ticket type.", "example": DEFAULT_TYPE_NAME}
    )
    count = ma.fields.Integer(required=True, metadata={"description": "The number of tickets.", "example": 2})
    price = ma.fields.Integer(
        required=True,
        metadata={"description": "The price of one ticket, in minor units of the booking's `currency`.", "example": 0},
    )


class OrderedItemSchema(BaseSchema):
    """A number of tickets of one type."""

    ticket_type_id = Identifier(
        required=True, metadata={"description": "The ID of the ticket type.", "example": TICKET_TYPE_ID}
    )
    count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        required=True,
        metadata={"description": "The number of tickets, at most the type's `max_per_booking`.", "example": 2},
    )


class TicketsSchema(BaseSchema):
    """Base schema for requests that contain either `items` or `ticket_count`."""

    items = ma.fields.List(
        ma.fields.Nested(OrderedItemSchema),
        validate=ma.validate.Length(1, MAX_TYPES_PER_EVENT),
        metadata={
            "description": "The number of tickets of each type. Send this instead of `ticket_count` if several types"
            " are on sale or the booking contains several types.",
        },
    )

    @ma.validates_schema(skip_on_field_errors=True)
    def _validate_items(self, data: dict[str, Any], **_: Any) -> None:
        items = data.get("items")
        if items is None:
            return
        if "ticket_count" in data:
            raise ma.ValidationError("Cannot be combined with items.", "ticket_count")
        if len({item["ticket_type_id"] for item in items}) < len(items):
            raise ma.ValidationError("Must not contain a ticket type twice.", "items")
