"""Bookings over HTTP."""

import marshmallow as ma

from bookings_api.http.fields import Choice, EmailAddress, Integer, QueryBoolean, Text
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import BookingStatus
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

    event_id = ma.fields.UUID(required=True)
    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        load_default=1,
        metadata={"description": "At most the event's max_tickets_per_booking.", "example": 2},
    )
    guest_name = Text(max_length=100, metadata={"example": "Grace Hopper"})
    guest_email = EmailAddress(metadata={"example": "grace@example.com"})


class BookingChangeSchema(BaseSchema):
    """What may be changed of a booking; what is not given stays as it is."""

    ticket_count = Integer(minimum=1, maximum=MAX_TICKETS_PER_BOOKING, metadata={"example": 3})
    guest_name = Text(max_length=100, metadata={"example": "Grace Hopper"})
    guest_email = EmailAddress(metadata={"example": "grace@example.com"})


class AttendeeQuerySchema(PageQuerySchema):
    """Which bookings of an event."""

    status = Choice(*BookingStatus)


class BookingQuerySchema(AttendeeQuerySchema):
    """Which of one's own bookings."""

    event_id = ma.fields.UUID()
    upcoming = QueryBoolean(metadata={"description": "Only those for events that have not begun; false: that have."})
