"""Schemas for responses about events."""

import marshmallow as ma

from bookings_api.events.schemas.texts import (
    CAPACITY,
    CLOSES,
    CONTACT_EMAIL,
    CONTACT_NAME,
    CURRENCY,
    DESCRIPTION,
    HOLD,
    LIMIT,
    OFFER,
    OPENS,
    ORGANIZER,
    PERSON_LIMIT,
    PLACE,
    POLICY,
    TITLE,
    WAITLIST,
    ZONE,
    ZONE_TEXT,
)
from bookings_api.http.openapi.examples import (
    BOOKED_AT,
    CONCERTS_EMAIL,
    EVENT_ID,
    OLIVIA_ID,
    ORGANIZATION_ID,
    PUBLISHED_AT,
)
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import EventStatus, Waitlist, WaitlistPolicy
from bookings_api.models.event import DEFAULT_HOLD_MINUTES, DEFAULT_TICKETS_PER_BOOKING, SUMMARY_LENGTH


class EventSchema(ResponseSchema):
    """An event."""

    id = ma.fields.UUID(required=True, metadata={"description": "The ID of the event.", "example": EVENT_ID})
    organization_id = ma.fields.UUID(
        required=True,
        metadata={"description": "The ID of the organization that publishes the event.", "example": ORGANIZATION_ID},
    )
    organizer_id = ma.fields.UUID(required=True, metadata={"description": ORGANIZER, "example": OLIVIA_ID})
    title = ma.fields.String(required=True, metadata={"description": "The title of the event.", "example": TITLE})
    description = ma.fields.String(
        required=True, metadata={"description": "The description of the event, in plain text.", "example": DESCRIPTION}
    )
    location = ma.fields.String(
        required=True, metadata={"description": "Where the event takes place.", "example": PLACE}
    )
    timezone = ma.fields.String(required=True, metadata={"description": ZONE_TEXT, "example": ZONE})
    contact_name = ma.fields.String(
        required=True, allow_none=True, metadata={"description": CONTACT_NAME, "example": "Olivia"}
    )
    contact_email = ma.fields.Email(
        required=True, allow_none=True, metadata={"description": CONTACT_EMAIL, "example": CONCERTS_EMAIL}
    )
    starts_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the event starts.", "example": "2099-06-19T17:30:00+00:00"}
    )
    ends_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the event ends.", "example": "2099-06-19T20:00:00+00:00"}
    )
    capacity = ma.fields.Integer(required=True, metadata={"description": CAPACITY, "example": 3})
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
    max_tickets_per_booking = ma.fields.Integer(
        required=True, metadata={"description": LIMIT, "example": DEFAULT_TICKETS_PER_BOOKING}
    )
    max_tickets_per_person = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": PERSON_LIMIT, "example": None}
    )
    currency = ma.fields.String(required=True, allow_none=True, metadata={"description": CURRENCY, "example": None})
    hold_minutes = ma.fields.Integer(required=True, metadata={"description": HOLD, "example": DEFAULT_HOLD_MINUTES})
    waitlist = ma.fields.Enum(
        Waitlist,
        by_value=ma.fields.String,
        required=True,
        metadata={"description": WAITLIST, "example": Waitlist.OFF.value},
    )
    waitlist_policy = ma.fields.Enum(
        WaitlistPolicy,
        by_value=ma.fields.String,
        required=True,
        metadata={"description": POLICY, "example": WaitlistPolicy.FIRST_FIT.value},
    )
    waitlist_offer_minutes = ma.fields.Integer(
        required=True, allow_none=True, metadata={"description": OFFER, "example": None}
    )
    status = ma.fields.Enum(
        EventStatus,
        by_value=ma.fields.String,
        required=True,
        metadata={"description": "The status of the event.", "example": EventStatus.PUBLISHED.value},
    )
    booking_opens_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": OPENS, "example": None}
    )
    booking_closes_at = ma.fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": CLOSES, "example": "2099-06-19T16:00:00+00:00"}
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
            "example": DESCRIPTION,
        },
    )
