"""Schemas for requests to book tickets and to change bookings, and for the filters of lists."""

from typing import Any

import marshmallow as ma

from bookings_api.http.csv import CsvQuerySchema
from bookings_api.http.fields import (
    Boolean,
    Choice,
    EmailAddress,
    Identifier,
    Integer,
    Name,
    QueryBoolean,
    StringMap,
    Text,
)
from bookings_api.http.openapi.examples import EVENT_ID, GRACE_EMAIL, REFERENCE
from bookings_api.http.schemas import BaseSchema, PageQuerySchema
from bookings_api.models import BookingStatus, EmailStatus
from bookings_api.models.booking import MAX_EXTERNAL_ID, REFERENCE_LENGTH
from bookings_api.models.event import MAX_HOLD_MINUTES, MAX_TICKETS_PER_BOOKING
from bookings_api.ticket_types.schemas import TicketsSchema

_STATUS = "Return only bookings with this status."


class BookingCreateSchema(TicketsSchema):
    """The tickets to book. You are the guest unless you name another person. API keys must name the guest."""

    event_id = Identifier(required=True, metadata={"description": "The ID of the event.", "example": EVENT_ID})
    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={
            "description": (
                "The number of tickets, at most the event's `max_tickets_per_booking`. Defaults to 1. If several ticket"
                " types are on sale, send `items` instead."
            ),
            "example": 2,
        },
    )
    guest_name = Name(
        metadata={
            "description": "The name of the guest. Defaults to your name, or to your email if you have no name."
            " Required if you use an API key.",
            "example": "Grace",
        }
    )
    guest_email = EmailAddress(
        metadata={
            "description": "The email of the guest. Defaults to your email. Required if you use an API key.",
            "example": GRACE_EMAIL,
        }
    )
    external_id = Text(
        max_length=MAX_EXTERNAL_ID,
        metadata={
            "description": (
                "Your identifier for the booking, such as an order number. Only API keys can set it. Must be unique in"
                " your organization. If you repeat the same request, you get the existing booking."
            )
        },
    )
    hold_minutes = Integer(
        minimum=1,
        maximum=MAX_HOLD_MINUTES,
        metadata={
            "description": "How long to hold the tickets, in minutes. Confirm the booking within this time. Bookings"
            " that must be paid are always held, by default for the event's `hold_minutes`. Buyers cannot ask for more"
            " than that. Free bookings are held only if you set this. After waiting, the event's"
            " `waitlist_offer_minutes` applies instead, if set.",
        },
    )
    waitlist = Boolean(
        metadata={
            "description": "Whether to join the event's waiting list if too few tickets are left. Has no effect if the"
            " event has no waiting list."
        },
    )
    accept_fewer = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={
            "description": "The smallest number of tickets that you accept if fewer are left. Requires `waitlist`, and"
            " tickets of a single type. If omitted, you get all tickets or none.",
        },
    )
    metadata = StringMap(
        max_pairs=20,
        max_key_length=40,
        max_value_length=500,
        metadata={"description": "Your own data about the booking. Only API keys can set it."},
    )

    @ma.validates_schema(skip_on_field_errors=True)
    def _validate_accept_fewer(self, data: dict[str, Any], **_: Any) -> None:
        fewer, items = data.get("accept_fewer"), data.get("items")
        if fewer is None:
            return
        if not data.get("waitlist"):
            raise ma.ValidationError("Requires waitlist.", "accept_fewer")
        if items and len(items) > 1:
            raise ma.ValidationError("Cannot be combined with several ticket types.", "accept_fewer")
        count = items[0]["count"] if items else data.get("ticket_count", 1)
        if fewer > count:
            raise ma.ValidationError(f"Must be at most {count}, the number of tickets.", "accept_fewer")


class BookingCreateQuerySchema(BaseSchema):
    """Query parameters of a request to book tickets."""

    dry_run = QueryBoolean(
        load_default=False,
        metadata={"description": "Whether to only check the request. Nothing is booked, and no email is sent."},
    )


class BookingChangeSchema(TicketsSchema):
    """The fields to change. Omitted fields keep their values."""

    ticket_count = Integer(
        minimum=1,
        maximum=MAX_TICKETS_PER_BOOKING,
        metadata={
            "description": (
                "The number of tickets, at most the event's `max_tickets_per_booking`. If the booking contains several"
                " ticket types, send `items` instead."
            ),
            "example": 1,
        },
    )
    guest_name = Name(metadata={"description": "The name of the guest."})
    guest_email = EmailAddress(metadata={"description": "The email of the guest, who receives all further emails."})


class AttendeeQuerySchema(CsvQuerySchema):
    """Filters for an event's bookings."""

    status = Choice(*BookingStatus, metadata={"description": _STATUS})
    q = Text(
        max_length=100,
        metadata={
            "description": (
                "Return only bookings with each of these words in the guest name, guest email or reference. Ignores"
                " case, accents and word order. Only the 5 longest words are used."
            )
        },
    )
    reference = Text(
        max_length=REFERENCE_LENGTH,
        metadata={"description": "Return only the booking with this reference.", "example": REFERENCE},
    )
    refund_due = QueryBoolean(
        metadata={"description": "Return only bookings for which a refund is due (`true`) or not due (`false`)."}
    )
    email_status = Choice(
        EmailStatus.PENDING,
        EmailStatus.SENT,
        EmailStatus.FAILED,
        metadata={
            "description": (
                "Return only bookings whose latest email to the guest has this status. An email that is being sent"
                " counts as `pending`. Use `failed` to find guests who could not be reached."
            )
        },
    )


class WaitingListQuerySchema(PageQuerySchema):
    """Parameters of the waiting list."""


class BookingQuerySchema(PageQuerySchema):
    """Filters for your bookings."""

    status = Choice(*BookingStatus, metadata={"description": _STATUS})
    event_id = Identifier(metadata={"description": "Return only bookings for this event."})
    external_id = Text(
        max_length=MAX_EXTERNAL_ID, metadata={"description": "Return only the booking with this external ID."}
    )
    upcoming = QueryBoolean(
        metadata={
            "description": "Return only bookings for events that have not ended (`true`) or that have ended (`false`)."
        }
    )
