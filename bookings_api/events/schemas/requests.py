"""Schemas for requests about events."""

from typing import Any

import marshmallow as ma

from bookings_api.events.schemas.texts import (
    CAPACITY,
    CLOSES,
    CONTACT_EMAIL,
    CONTACT_NAME,
    CURRENCY,
    DESCRIPTION,
    ENDS,
    HOLD,
    LIMIT,
    OFFER,
    OPENS,
    PERSON_LIMIT,
    PLACE,
    PLACE_TEXT,
    POLICY,
    STARTS,
    TITLE,
    TITLE_TEXT,
    WAITLIST,
    ZONE,
    ZONE_TEXT,
)
from bookings_api.http.fields import (
    Choice,
    Currency,
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
from bookings_api.http.openapi.examples import CONCERTS_EMAIL
from bookings_api.http.schemas import BaseSchema, PageQuerySchema
from bookings_api.models import EventSort, EventStatus, Waitlist, WaitlistPolicy
from bookings_api.models.event import (
    DEFAULT_HOLD_MINUTES,
    DEFAULT_TICKETS_PER_BOOKING,
    MAX_CAPACITY,
    MAX_HOLD_MINUTES,
    MAX_TICKETS_PER_BOOKING,
)


class EventCreateSchema(BaseSchema):
    """A new event, published immediately unless `status` is `draft`."""

    organization_id = Identifier(
        metadata={
            "description": "The ID of the organization. Required only if you are an organizer or owner of several"
            " organizations."
        }
    )
    title = EmailedText(max_length=200, required=True, metadata={"description": TITLE_TEXT, "example": TITLE})
    description = Text(
        max_length=10_000,
        min_length=0,
        multiline=True,
        load_default="",
        metadata={"description": "The description of the event, in plain text.", "example": DESCRIPTION},
    )
    location = EmailedText(max_length=200, required=True, metadata={"description": PLACE_TEXT, "example": PLACE})
    timezone = TimeZone(required=True, metadata={"description": ZONE_TEXT, "example": ZONE})
    contact_name = Name(
        allow_none=True,
        metadata={
            "description": f"{CONTACT_NAME} Defaults to your name, or to `null` if you use an API key.",
            "example": "Olivia",
        },
    )
    contact_email = EmailAddress(
        load_default=None, allow_none=True, metadata={"description": CONTACT_EMAIL, "example": CONCERTS_EMAIL}
    )
    starts_at = Instant(required=True, metadata={"description": STARTS, "example": "2099-06-19T19:30:00+02:00"})
    ends_at = Instant(required=True, metadata={"description": ENDS, "example": "2099-06-19T22:00:00+02:00"})
    capacity = Integer(minimum=1, maximum=MAX_CAPACITY, required=True, metadata={"description": CAPACITY, "example": 3})
    max_tickets_per_booking = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        load_default=DEFAULT_TICKETS_PER_BOOKING,
        metadata={"description": LIMIT, "example": DEFAULT_TICKETS_PER_BOOKING},
    )
    max_tickets_per_person = Integer(
        minimum=1, maximum=MAX_CAPACITY, load_default=None, allow_none=True, metadata={"description": PERSON_LIMIT}
    )
    currency = Currency(load_default=None, allow_none=True, metadata={"description": CURRENCY})
    hold_minutes = Integer(
        minimum=1, maximum=MAX_HOLD_MINUTES, load_default=DEFAULT_HOLD_MINUTES, metadata={"description": HOLD}
    )
    waitlist = Choice(*Waitlist, load_default=Waitlist.OFF, metadata={"description": WAITLIST})
    waitlist_policy = Choice(*WaitlistPolicy, load_default=WaitlistPolicy.FIRST_FIT, metadata={"description": POLICY})
    waitlist_offer_minutes = Integer(
        minimum=1, maximum=MAX_HOLD_MINUTES, load_default=None, allow_none=True, metadata={"description": OFFER}
    )
    status = Choice(
        EventStatus.DRAFT,
        EventStatus.PUBLISHED,
        load_default=EventStatus.PUBLISHED,
        metadata={"description": "Whether to publish the event immediately or save it as a draft."},
    )
    booking_opens_at = Instant(load_default=None, allow_none=True, metadata={"description": OPENS})
    booking_closes_at = Instant(
        load_default=None, allow_none=True, metadata={"description": CLOSES, "example": "2099-06-19T18:00:00+02:00"}
    )


class EventChangeSchema(BaseSchema):
    """The fields to change. Omitted fields keep their values."""

    title = EmailedText(max_length=200, metadata={"description": TITLE_TEXT})
    description = Text(
        max_length=10_000,
        min_length=0,
        multiline=True,
        metadata={"description": "The description of the event, in plain text."},
    )
    location = EmailedText(max_length=200, metadata={"description": PLACE_TEXT, "example": "Philharmonie"})
    timezone = TimeZone(metadata={"description": ZONE_TEXT})
    contact_name = Name(allow_none=True, metadata={"description": CONTACT_NAME})
    contact_email = EmailAddress(allow_none=True, metadata={"description": CONTACT_EMAIL})
    starts_at = Instant(metadata={"description": f"{STARTS} Cannot be changed once the event has started."})
    ends_at = Instant(metadata={"description": ENDS})
    capacity = Integer(
        minimum=1,
        maximum=MAX_CAPACITY,
        metadata={
            "description": f"{CAPACITY} Cannot be less than the number of booked and held tickets or the capacity of a"
            " ticket type.",
            "example": 5,
        },
    )
    max_tickets_per_booking = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={"description": f"{LIMIT} Existing bookings are unaffected."},
    )
    max_tickets_per_person = Integer(
        minimum=1,
        maximum=MAX_CAPACITY,
        allow_none=True,
        metadata={"description": f"{PERSON_LIMIT} Existing bookings are unaffected."},
    )
    currency = Currency(
        allow_none=True,
        metadata={"description": f"{CURRENCY} Cannot be changed once tickets have a price or have been sold."},
    )
    hold_minutes = Integer(
        minimum=1, maximum=MAX_HOLD_MINUTES, metadata={"description": f"{HOLD} Existing holds are unaffected."}
    )
    waitlist = Choice(*Waitlist, metadata={"description": f"{WAITLIST} People who already wait keep their places."})
    waitlist_policy = Choice(*WaitlistPolicy, metadata={"description": POLICY})
    waitlist_offer_minutes = Integer(
        minimum=1, maximum=MAX_HOLD_MINUTES, allow_none=True, metadata={"description": OFFER}
    )
    booking_opens_at = Instant(allow_none=True, metadata={"description": OPENS})
    booking_closes_at = Instant(allow_none=True, metadata={"description": CLOSES})


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
