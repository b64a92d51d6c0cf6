"""Events over HTTP."""

import marshmallow as ma

from bookings_api.http.fields import Choice, Identifier, Instant, Integer, QueryInteger, Text, TimeZone
from bookings_api.http.openapi.examples import BOOKED_AT, EVENT_ID, OLIVIA_ID, PUBLISHED_AT
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import EventSort, EventStatus
from bookings_api.models.event import DEFAULT_TICKETS_PER_BOOKING, MAX_CAPACITY, MAX_TICKETS_PER_BOOKING

_TITLE, _PLACE, _ZONE = "Schubert by Candlelight", "Kammermusiksaal", "Europe/Berlin"
_DESCRIPTION = "Two late string quartets; doors open at 19:00."
_OPENS = "Bookings are taken from then on; null: at once."
_CLOSES = "Bookings are taken until then; null: until the event starts."
_LIMIT = "The most tickets that one booking may have."


class EventSchema(ResponseSchema):
    """An event."""

    id = ma.fields.UUID(required=True, metadata={"example": EVENT_ID})
    organizer_id = ma.fields.UUID(required=True, metadata={"description": "Whose event it is.", "example": OLIVIA_ID})
    title = ma.fields.String(required=True, metadata={"example": _TITLE})
    description = ma.fields.String(required=True, metadata={"example": _DESCRIPTION})
    location = ma.fields.String(required=True, metadata={"example": _PLACE})
    timezone = ma.fields.String(
        required=True, metadata={"description": "IANA zone in which guests are told the time.", "example": _ZONE}
    )
    starts_at = ma.fields.AwareDateTime(required=True, metadata={"example": "2099-06-19T17:30:00+00:00"})
    ends_at = ma.fields.AwareDateTime(required=True, metadata={"example": "2099-06-19T20:00:00+00:00"})
    capacity = ma.fields.Integer(required=True, metadata={"description": "How many seats there are.", "example": 3})
    tickets_booked = ma.fields.Integer(
        required=True, metadata={"description": "Those of confirmed bookings.", "example": 2}
    )
    tickets_available = ma.fields.Integer(required=True, metadata={"description": "Those left.", "example": 1})
    max_tickets_per_booking = ma.fields.Integer(
        required=True, metadata={"description": _LIMIT, "example": DEFAULT_TICKETS_PER_BOOKING}
    )
    status = ma.fields.Enum(
        EventStatus, by_value=ma.fields.String, required=True, metadata={"example": EventStatus.PUBLISHED.value}
    )
    booking_opens_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": _OPENS, "example": None}
    )
    booking_closes_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": _CLOSES, "example": "2099-06-19T16:00:00+00:00"}
    )
    version = ma.fields.Integer(
        required=True, metadata={"description": "Counts its changes; bookings are none.", "example": 1}
    )
    created_at = ma.fields.AwareDateTime(required=True, metadata={"example": PUBLISHED_AT})
    updated_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "Of its row, in which bookings are counted.", "example": BOOKED_AT}
    )


class EventCreateSchema(BaseSchema):
    """A new event, published at once unless `status` is `draft`."""

    title = Text(max_length=200, required=True, metadata={"example": _TITLE})
    description = Text(
        max_length=10_000, min_length=0, multiline=True, load_default="", metadata={"example": _DESCRIPTION}
    )
    location = Text(max_length=200, required=True, metadata={"example": _PLACE})
    timezone = TimeZone(
        required=True,
        metadata={"description": "IANA zone in which guests are told the time.", "example": _ZONE},
    )
    starts_at = Instant(
        required=True, metadata={"description": "In the future.", "example": "2099-06-19T19:30:00+02:00"}
    )
    ends_at = Instant(
        required=True, metadata={"description": "After the start.", "example": "2099-06-19T22:00:00+02:00"}
    )
    capacity = Integer(
        minimum=1,
        maximum=MAX_CAPACITY,
        required=True,
        metadata={"description": "How many seats there are.", "example": 3},
    )
    max_tickets_per_booking = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        load_default=DEFAULT_TICKETS_PER_BOOKING,
        metadata={"description": _LIMIT, "example": DEFAULT_TICKETS_PER_BOOKING},
    )
    status = Choice(
        EventStatus.DRAFT,
        EventStatus.PUBLISHED,
        load_default=EventStatus.PUBLISHED,
        metadata={"description": "Whether it can be booked now, or be published later."},
    )
    booking_opens_at = Instant(load_default=None, allow_none=True, metadata={"description": _OPENS})
    booking_closes_at = Instant(
        load_default=None,
        allow_none=True,
        metadata={"description": _CLOSES, "example": "2099-06-19T18:00:00+02:00"},
    )


class EventChangeSchema(BaseSchema):
    """What may be changed of an event; what is not given stays as it is."""

    title = Text(max_length=200)
    description = Text(max_length=10_000, min_length=0, multiline=True)
    location = Text(max_length=200, metadata={"example": "Philharmonie"})
    timezone = TimeZone(metadata={"description": "IANA zone in which guests are told the time."})
    starts_at = Instant(metadata={"description": "In the future."})
    ends_at = Instant(metadata={"description": "After the start."})
    capacity = Integer(
        minimum=1, maximum=MAX_CAPACITY, metadata={"description": "Not below what is booked.", "example": 5}
    )
    max_tickets_per_booking = Integer(
        minimum=1, maximum=MAX_TICKETS_PER_BOOKING, metadata={"description": f"{_LIMIT} Those that there are stay."}
    )
    booking_opens_at = Instant(allow_none=True, metadata={"description": _OPENS})
    booking_closes_at = Instant(allow_none=True, metadata={"description": _CLOSES})


class EventQuerySchema(PageQuerySchema):
    """Which events, and in which order."""

    q = Text(max_length=100, metadata={"description": "Part of the title, the location or the description."})
    starts_after = Instant(metadata={"description": "Events that start then or later; write + as %2B."})
    starts_before = Instant(metadata={"description": "Events that start earlier."})
    organizer_id = Identifier(metadata={"description": "Events of this account."})
    min_available = QueryInteger(
        minimum=1, maximum=MAX_CAPACITY, metadata={"description": "Events with at least that many tickets left."}
    )
    sort = Choice(
        *EventSort, load_default=EventSort.STARTS_AT, metadata={"description": "By what; a minus turns it round."}
    )
