"""The calendar of a mail, which asks the guest's program to do something with it.

It is an invitation that the guest has accepted by booking, or its withdrawal: `METHOD` is iTIP's (RFC 5546, sections
3.2.2 and 3.2.5), the part of the mail iMIP's (RFC 6047).
"""

from flask_mail import Attachment

from bookings_api.calendar.icalendar import booking_calendar
from bookings_api.models import EmailKind, OutboxEmail

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

# What the facts of mails written by older releases lack.
_VERSIONS = {"booking_version", "event_version"}


def invitation(mail: OutboxEmail, *, mail_from: str) -> Attachment | None:
    """The part of `mail` for the guest's calendar; None for other kinds of mail, and those of older releases."""
    method = _METHODS.get(mail.kind)
    if method is None or mail.booking_id is None or not mail.payload.keys() >= _VERSIONS:
        return None
    calendar = booking_calendar(
        mail.payload,
        booking_id=mail.booking_id,
        attendee=mail.recipient,
        mail_from=mail_from,
        stamped_at=mail.created_at,
        is_cancelled=method == CANCEL,
    )
    calendar.add("method", method)
    return Attachment(_FILE_NAMES[method], f"text/calendar; method={method}; charset=utf-8", calendar.to_ical())
