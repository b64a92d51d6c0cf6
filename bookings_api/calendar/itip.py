"""Invitations and cancellations that emails bring to the guest's calendar: iTIP (RFC 5546) in iMIP parts (RFC 6047)."""

from flask_mail import Attachment

from bookings_api.calendar.icalendar import booking_calendar
from bookings_api.models import EmailKind, OutboxEmail

# RFC 5546, sections 3.2.2 and 3.2.5
REQUEST = "REQUEST"
CANCEL = "CANCEL"

_METHODS = {
    EmailKind.BOOKING_CONFIRMED: REQUEST,
    EmailKind.BOOKING_CHANGED: REQUEST,
    EmailKind.EVENT_CHANGED: REQUEST,
    EmailKind.BOOKING_CANCELLED: CANCEL,
    EmailKind.EVENT_CANCELLED: CANCEL,
}
_FILE_NAMES = {REQUEST: "invite.ics", CANCEL: "cancelled.ics"}

# Payloads written by older releases lack these.
_VERSIONS = {"booking_version", "event_version"}


def invitation(email: OutboxEmail, *, mail_from: str) -> Attachment | None:
    """The calendar part of `email`; None for kinds that have none and for payloads written by older releases."""
    method = _METHODS.get(email.kind)
    if method is None or email.booking_id is None or not email.payload.keys() >= _VERSIONS:
        return None
    calendar = booking_calendar(
        email.payload,
        booking_id=email.booking_id,
        attendee=email.recipient,
        mail_from=mail_from,
        stamped_at=email.created_at,
        is_cancelled=method == CANCEL,
    )
    calendar.add("method", method)
    return Attachment(_FILE_NAMES[method], f"text/calendar; method={method}; charset=utf-8", calendar.to_ical())
