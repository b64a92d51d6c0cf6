"""Schemas for events."""

from typing import Any

import marshmallow as ma

from bookings_api.http.fields import (
    Choice,
    EmailAddress,
    EmailedText,
    Identifier,
    Instant,
    Integer,
    Name,
    QueryInteger,
    Text,
    TimeZone,
)
from bookings_api.http.openapi.examples import (
    BOOKED_AT,
    CONCERTS_EMAIL,
    EVENT_ID,
    OLIVIA_ID,
    ORGANIZATION_ID,
    PUBLISHED_AT,
)
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import EventSort, EventStatus
from bookings_api.models.event import DEFAULT_TICKETS_PER_BOOKING, MAX_CAPACITY, MAX_TICKETS_PER_BOOKING, SUMMARY_LENGTH

_TITLE, _PLACE, _ZONE = "Schubert by Candlelight", "Kammermusiksaal", "Europe/Berlin"
_DESCRIPTION = "Two late string quartets; doors open at 19:00."
_ORGANIZER = "The ID of the account that organizes the event."
_TITLE_TEXT = "The title of the event. Cannot contain links. Put links in the description."
_PLACE_TEXT = "Where the event takes place. Cannot contain links. Put links in the description."
_ZONE_TEXT = "The IANA time zone in which emails show the event's times."
_CONTACT_NAME = "The name of the contact for guests, shown in emails and calendars. `null` if there is no contact name."
_CONTACT_EMAIL = (
    "The contact's email, shown in emails and calendars. Guests' replies go to this address. `null` if there is no"
    " contact email."
)
_STARTS = "When the event starts. Must be in the future."
_ENDS = "When the event ends. Must be later than `starts_at` and in the future."
_CAPACITY = "The total number of tickets."
_LIMIT = "The maximum number of tickets per booking."
_PERSON_LIMIT = (
    "The maximum number of tickets per account. For bookings made with API keys, the maximum number per guest email,"
    " ignoring case and anything between `+` and `@`. `null` means no limit."
)
_OPENS = (
    "When booking opens. Must be before booking closes. If `null`, booking opens as soon as the event is published."
)
_CLOSES = "When booking closes. Must not be later than `ends_at`. If `null`, booking closes when the event starts."


class EventSchema(ResponseSchema):
    """An event."""

    id = ma.fields.UUID(required=True, metadata={"description": "The ID of the event.", "example": EVENT_ID})
    organization_id = ma.fields.UUID(
        required=True,
        metadata={"description": "The ID of the organization that publishes the event.", "example": ORGANIZATION_ID},
    )
    organizer_id = ma.fields.UUID(required=True, metadata={"description": _ORGANIZER, "example": OLIVIA_ID})
    title = ma.fields.String(required=True, metadata={"description": "The title of the event.", "example": _TITLE})
    description = ma.fields.String(
        required=True, metadata={"description": "The description of the event, in plain text.", "example": _DESCRIPTION}
    )
    location = ma.fields.String(
        required=True, metadata={"description": "Where the event takes place.", "example": _PLACE}
    )
    timezone = ma.fields.String(required=True, metadata={"description": _ZONE_TEXT, "example": _ZONE})
    contact_name = ma.fields.String(
        required=True, allow_none=True, metadata={"description": _CONTACT_NAME, "example": "Olivia"}
    )
    contact_email = ma.fields.Email(
        required=True, allow_none=True, metadata={"description": _CONTACT_EMAIL, "example": CONCERTS_EMAIL}
    )
    starts_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the event starts.", "example": "2099-06-19T17:30:00+00:00"}
    )
    ends_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the event ends.", "example": "2099-06-19T20:00:00+00:00"}
    )
    capacity = ma.fields.Integer(required=True, metadata={"description": _CAPACITY, "example": 3})
    tickets_booked = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets in confirmed bookings.", "example": 2}
    )
    tickets_available = ma.fields.Integer(
        required=True, metadata={"description": "The number of tickets left.", "example": 1}
    )
    max_tickets_per_booking = ma.fields.Integer(
        required=True, metadata={"description": _LIMIT, "example": DEFAULT_TICKETS_PER_BOOKING}
    )
    max_tickets_per_person = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": _PERSON_LIMIT, "example": None}
    )
    status = ma.fields.Enum(
        EventStatus,
        by_value=ma.fields.String,
        required=True,
        metadata={"description": "The status of the event.", "example": EventStatus.PUBLISHED.value},
    )
    booking_opens_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": _OPENS, "example": None}
    )
    booking_closes_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": _CLOSES, "example": "2099-06-19T16:00:00+00:00"}
    )
    version = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The version of the event. Each change increases it by 1. Bookings do not change it.",
            "example": 1,
        },
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the event was created.", "example": PUBLISHED_AT}
    )
    updated_at = ma.fields.AwareDateTime(
        required=True,
        metadata={"description": "When the event or its ticket counts last changed.", "example": BOOKED_AT},
    )


class ListedEventSchema(EventSchema):
    """An event in a list, with a shortened description."""

    description = ma.fields.String(
        attribute="summary",
        required=True,
        metadata={
            "description": (
                f"The description in plain text. If it is longer than {SUMMARY_LENGTH} characters, it is shortened and"
                " ends with an ellipsis. Retrieve the event by its ID to get the whole text."
            ),
            "example": _DESCRIPTION,
        },
    )


class EventCreateSchema(BaseSchema):
    """A new event, published immediately unless `status` is `draft`."""

    organization_id = Identifier(
        metadata={
            "description": "The ID of the organization. Required only if you are an organizer or owner of several"
            " organizations."
        }
    )
    title = EmailedText(max_length=200, required=True, metadata={"description": _TITLE_TEXT, "example": _TITLE})
    description = Text(
        max_length=10_000,
        min_length=0,
        multiline=True,
        load_default="",
        metadata={"description": "The description of the event, in plain text.", "example": _DESCRIPTION},
    )
    location = EmailedText(max_length=200, required=True, metadata={"description": _PLACE_TEXT, "example": _PLACE})
    timezone = TimeZone(required=True, metadata={"description": _ZONE_TEXT, "example": _ZONE})
    contact_name = Name(
        allow_none=True,
        metadata={
            "description": f"{_CONTACT_NAME} Defaults to your name, or to `null` if you use an API key.",
            "example": "Olivia",
        },
    )
    contact_email = EmailAddress(
        load_default=None, allow_none=True, metadata={"description": _CONTACT_EMAIL, "example": CONCERTS_EMAIL}
    )
    starts_at = Instant(required=True, metadata={"description": _STARTS, "example": "2099-06-19T19:30:00+02:00"})
    ends_at = Instant(required=True, metadata={"description": _ENDS, "example": "2099-06-19T22:00:00+02:00"})
    capacity = Integer(
        minimum=1, maximum=MAX_CAPACITY, required=True, metadata={"description": _CAPACITY, "example": 3}
    )
    max_tickets_per_booking = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        load_default=DEFAULT_TICKETS_PER_BOOKING,
        metadata={"description": _LIMIT, "example": DEFAULT_TICKETS_PER_BOOKING},
    )
    max_tickets_per_person = Integer(
        minimum=1, maximum=MAX_CAPACITY, load_default=None, allow_none=True, metadata={"description": _PERSON_LIMIT}
    )
    status = Choice(
        EventStatus.DRAFT,
        EventStatus.PUBLISHED,
        load_default=EventStatus.PUBLISHED,
        metadata={"description": "Whether to publish the event immediately or save it as a draft."},
    )
    booking_opens_at = Instant(load_default=None, allow_none=True, metadata={"description": _OPENS})
    booking_closes_at = Instant(
        load_default=None, allow_none=True, metadata={"description": _CLOSES, "example": "2099-06-19T18:00:00+02:00"}
    )


class EventChangeSchema(BaseSchema):
    """The fields to change. Omitted fields keep their values."""

    title = EmailedText(max_length=200, metadata={"description": _TITLE_TEXT})
    description = Text(
        max_length=10_000,
        min_length=0,
        multiline=True,
        metadata={"description": "The description of the event, in plain text."},
    )
    location = EmailedText(max_length=200, metadata={"description": _PLACE_TEXT, "example": "Philharmonie"})
    timezone = TimeZone(metadata={"description": _ZONE_TEXT})
    contact_name = Name(allow_none=True, metadata={"description": _CONTACT_NAME})
    contact_email = EmailAddress(allow_none=True, metadata={"description": _CONTACT_EMAIL})
    starts_at = Instant(metadata={"description": f"{_STARTS} Cannot be changed once the event has started."})
    ends_at = Instant(metadata={"description": _ENDS})
    capacity = Integer(
        minimum=1,
        maximum=MAX_CAPACITY,
        metadata={
            "description": f"{_CAPACITY} Cannot be less than the number of booked tickets or the capacity of a ticket"
            " type.",
            "example": 5,
        },
    )
    max_tickets_per_booking = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={"description": f"{_LIMIT} Existing bookings are unaffected."},
    )
    max_tickets_per_person = Integer(
        minimum=1,
        maximum=MAX_CAPACITY,
        allow_none=True,
        metadata={"description": f"{_PERSON_LIMIT} Existing bookings are unaffected."},
    )
    booking_opens_at = Instant(allow_none=True, metadata={"description": _OPENS})
    booking_closes_at = Instant(allow_none=True, metadata={"description": _CLOSES})


class EventQuerySchema(PageQuerySchema):
    """Filters and sort order for the list of events."""

    q = Text(
        max_length=100,
        metadata={
            "description": (
                "Return only events with each of these words in the title, location or description. Ignores case,"
                " accents and word order. Only the 5 longest words are used."
            )
        },
    )
    starts_after = Instant(
        metadata={"description": "Return only events that start at or after this time. In a URL, write + as %2B."}
    )
    starts_before = Instant(metadata={"description": "Return only events that start before this time."})
    organizer_id = Identifier(metadata={"description": "Return only events organized by the account with this ID."})
    min_available = QueryInteger(
        minimum=1,
        maximum=MAX_CAPACITY,
        metadata={"description": "Return only events with at least this many tickets left."},
    )
    sort = Choice(
        *EventSort,
        metadata={
            "description": (
                "The field to sort by. Defaults to `starts_at`, or to `created_at` if you send `after`. A leading minus"
                " sorts in descending order. Sorting by `title` ignores case and accents. If you combine `after` with a"
                " field other than `created_at`, events that change while you read the list can be skipped or repeated."
            )
        },
    )

    @ma.post_load
    def _sort_by_default(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Sort by `created_at` by default if `after` is set. Creation times never change, so no event is skipped."""
        return {"sort": EventSort.CREATED_AT if "after" in data else EventSort.STARTS_AT} | data
