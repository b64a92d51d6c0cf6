"""Events over HTTP."""

import marshmallow as ma

from bookings_api.http.fields import Choice, Identifier, Instant, Integer, QueryInteger, Text, TimeZone
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import EventSort, EventStatus
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


class EventChangeSchema(BaseSchema):
    """What may be changed of an event; what is not given stays as it is."""

    title = Text(max_length=200)
    description = Text(max_length=10_000, min_length=0, multiline=True)
    location = Text(max_length=200)
    timezone = TimeZone()
    starts_at = Instant()
    ends_at = Instant()
    capacity = Integer(
        minimum=1, maximum=MAX_CAPACITY, metadata={"description": "Not below what is booked.", "example": 150}
    )
    max_tickets_per_booking = Integer(minimum=1, maximum=MAX_TICKETS_PER_BOOKING)
    booking_opens_at = Instant(allow_none=True)
    booking_closes_at = Instant(allow_none=True)


class EventQuerySchema(PageQuerySchema):
    """Which events, and in which order."""

    q = Text(max_length=100, metadata={"description": "Part of the title, the location or the description."})
    starts_after = Instant(metadata={"description": "Events that start then or later; write + as %2B."})
    starts_before = Instant(metadata={"description": "Events that start earlier."})
    organizer_id = Identifier()
    min_available = QueryInteger(
        minimum=1, maximum=MAX_CAPACITY, metadata={"description": "Events with that many tickets left."}
    )
    sort = Choice(*EventSort, load_default=EventSort.STARTS_AT)
