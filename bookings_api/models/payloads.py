"""Builds the `payload` of outbox emails: JSON data about an event and a booking, for templates and calendars."""

from typing import Any

from bookings_api.models.booking import Booking
from bookings_api.models.event import Event
from bookings_api.models.ticket_type import DEFAULT_TYPE_NAME
from bookings_api.models.user import User

# Payload values that users enter. Links in these values are disabled, because recipients might trust a link in an email
# from the service. The names of ticket types are in `tickets` and, as `name`, in each of the `items`.
FREE_TEXT = (
    "event_title",
    "location",
    "guest_name",
    "buyer_name",
    "contact_name",
    "name",
    "invited_by",
    "organization",
    "tickets",
)


def event_payload(event: Event) -> dict[str, Any]:
    return {
        "event_title": event.title,
        "location": event.location,
        "timezone": event.timezone,
        "contact_name": event.contact_name,
        "contact_email": event.contact_email,
        "starts_at": event.starts_at.isoformat(),
        "ends_at": event.ends_at.isoformat(),
        "event_version": event.version,
    }


def booking_payload(booking: Booking) -> dict[str, Any]:
    """Return the values of a booking. `amount_due` and prices are in minor units of `currency`.

    Emails that an earlier release has queued lack `items` and the values after it, except `booking_version`.
    """
    return {
        "reference": booking.reference,
        "guest_name": booking.guest_name,
        "ticket_count": booking.ticket_count,
        "tickets": _tickets_by_type(booking),
        "items": [{name: item[name] for name in ("name", "count", "price")} for item in booking.items or []],
        "amount_due": booking.amount_due,
        "currency": booking.currency,
        "held_until": booking.held_until and booking.held_until.isoformat(),
        "position": booking.position,
        "tickets_ahead": booking.tickets_ahead,
        "was_waitlisted": booking.waitlisted_at is not None,
        "was_confirmed": booking.confirmed_at is not None,
        "booking_version": booking.version,
    }


def _tickets_by_type(booking: Booking) -> str | None:
    """Return text such as `2 Balcony, 1 Front row`, or None for an event that sells only general admission."""
    items = booking.items or []
    if [item["name"] for item in items] == [DEFAULT_TYPE_NAME]:
        return None
    return ", ".join(f"{item['count']} {item['name']}" for item in items) or None


def guest_payload(event: dict[str, Any], booking: Booking, sender: User | None) -> dict[str, Any]:
    """Return the payload of an email to a guest about a booking. `event` is the result of `event_payload`.

    `buyer_name` and `buyer_email` are the name and email of `sender` or, without a sender, of the event's contact. Both
    are None if this person is the guest or has no email.
    """
    name, email = (sender.name, sender.email) if sender else (event["contact_name"], event["contact_email"])
    is_other = email is not None and email.lower() != booking.guest_email.lower()
    return {
        **event,
        **booking_payload(booking),
        "buyer_name": name if is_other else None,
        "buyer_email": email if is_other else None,
    }


def buyer_payload(buyer: User) -> dict[str, Any]:
    """Return the values that replace the booking's values in an email to a buyer who booked only for other people."""
    return {
        "reference": None,
        "ticket_count": None,
        "tickets": None,
        "items": [],
        "amount_due": 0,
        "currency": None,
        "held_until": None,
        "position": None,
        "tickets_ahead": None,
        "was_waitlisted": None,
        "was_confirmed": None,
        "guest_name": buyer.name or buyer.email,
        "buyer_name": None,
        "buyer_email": None,
    }
