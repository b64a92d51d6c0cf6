"""Calendar invitations and cancellations (iTIP, RFC 5546) for emails (iMIP, RFC 6047)."""

import icalendar

from bookings_api.calendar.icalendar import CANCELLED, CONFIRMED, booking_calendar
from bookings_api.models import EmailKind, OutboxEmail

# RFC 5546, sections 3.2.2 and 3.2.5
REQUEST = "REQUEST"
CANCEL = "CANCEL"

MAX_LINE = 75  # octets; longer lines are folded (RFC 5545, section 3.1)

_METHODS = {
    EmailKind.BOOKING_CONFIRMED: REQUEST,
    EmailKind.BOOKING_CHANGED: REQUEST,
    EmailKind.EVENT_CHANGED: REQUEST,
    EmailKind.BOOKING_CANCELLED: CANCEL,
    EmailKind.BOOKING_REASSIGNED: CANCEL,
    EmailKind.EVENT_CANCELLED: CANCEL,
}


def invitation(email: OutboxEmail, *, mail_from: str) -> tuple[str, bytes] | None:
    """Return the method and the calendar to send with an email, or None for emails without a calendar.

    Only emails to guests have a calendar, because an account that booked only for other people does not attend. Emails
    about a booking that was never confirmed have no calendar, because the guest's calendar has no entry for it.
    """
    method = _METHODS.get(email.kind)
    if method is None or email.booking_id is None or email.payload["reference"] is None:
        return None
    if not email.payload.get("was_confirmed", True):
        return None
    calendar = booking_calendar(
        email.payload,
        booking_id=email.booking_id,
        attendee=email.recipient,
        mail_from=mail_from,
        stamped_at=email.created_at,
        status=CANCELLED if method == CANCEL else CONFIRMED,
    )
    calendar.add("method", method)
    return method, _serialize(calendar)


def _serialize(calendar: icalendar.Calendar) -> bytes:
    """Return the same bytes as `calendar.to_ical()`, but faster, because `to_ical` measures every character."""
    lines = (
        line.encode() if line.isascii() and len(line) < MAX_LINE else line.to_ical()
        for line in calendar.content_lines()
        if line
    )
    return b"\r\n".join(lines) + b"\r\n"
