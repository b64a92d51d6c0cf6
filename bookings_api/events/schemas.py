"""Events over HTTP."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma

from bookings_api.http.fields import Choice, Instant, Integer, Text, TimeZone
from bookings_api.http.schemas import BaseSchema, ResponseSchema
from bookings_api.models import EventStatus
from bookings_api.models.event import DEFAULT_TICKETS_PER_BOOKING, MAX_CAPACITY, MAX_TICKETS_PER_BOOKING


class EventSchema(ResponseSchema):
    """An event."""

    id = ma.fields.UUID(required=True)
    organizer_id = ma.fields.UUID(required=True)
    title = ma.fields.String(required=True, metadata={"example": "An Evening of Chamber Music"})
    description = ma.fields.String(required=True)
    location = ma.fields.String(required=True, metadata={"example": "Konzerthaus Berlin"})
    timezone = ma.fields.String(required=True, metadata={"example": "Europe/Berlin"})
    starts_at = ma.fields.AwareDateTime(required=True)
    ends_at = ma.fields.AwareDateTime(required=True)
    capacity = ma.fields.Integer(required=True, metadata={"example": 120})
    tickets_booked = ma.fields.Integer(required=True, metadata={"example": 42})
    tickets_available = ma.fields.Integer(required=True, metadata={"example": 78})
    max_tickets_per_booking = ma.fields.Integer(required=True, metadata={"example": DEFAULT_TICKETS_PER_BOOKING})
    status = ma.fields.Enum(EventStatus, by_value=ma.fields.String, required=True)
    booking_opens_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    booking_closes_at = ma.fields.AwareDateTime(required=True, allow_none=True)
    version = ma.fields.Integer(required=True)
    created_at = ma.fields.AwareDateTime(required=True)
    updated_at = ma.fields.AwareDateTime(required=True)


class EventCreateSchema(BaseSchema):
    """A new event, published at once unless `status` is `draft`."""

    title = Text(max_length=200, required=True, metadata={"example": "An Evening of Chamber Music"})
    description = Text(max_length=10_000, min_length=0, multiline=True, load_default="")
    location = Text(max_length=200, required=True, metadata={"example": "Konzerthaus Berlin"})
    timezone = TimeZone(
        required=True,
        metadata={"description": "IANA zone in which guests are told the time.", "example": "Europe/Berlin"},
    )
    starts_at = Instant(required=True, metadata={"example": "2099-06-19T19:30:00+02:00"})
    ends_at = Instant(required=True, metadata={"example": "2099-06-19T22:00:00+02:00"})
    capacity = Integer(minimum=1, maximum=MAX_CAPACITY, required=True, metadata={"example": 120})
    max_tickets_per_booking = Integer(
        minimum=1, maximum=MAX_TICKETS_PER_BOOKING, load_default=DEFAULT_TICKETS_PER_BOOKING
    )
    status = Choice(EventStatus.DRAFT, EventStatus.PUBLISHED, load_default=EventStatus.PUBLISHED)
    booking_opens_at = Instant(
        load_default=None, allow_none=True, metadata={"description": "Default: bookable at once."}
    )
    booking_closes_at = Instant(
        load_default=None, allow_none=True, metadata={"description": "Default: until the event starts."}
    )

    @ma.validates_schema
    def _times_in_order(self, event: Mapping[str, Any], **_: Any) -> None:
        if event["starts_at"] <= datetime.now(UTC):
            raise ma.ValidationError("Must lie in the future.", "starts_at")
        if event["ends_at"] <= event["starts_at"]:
            raise ma.ValidationError("Must be later than starts_at.", "ends_at")
        opens, closes = event["booking_opens_at"], event["booking_closes_at"]
        if opens and closes and closes <= opens:
            raise ma.ValidationError("Must be later than booking_opens_at.", "booking_closes_at")
