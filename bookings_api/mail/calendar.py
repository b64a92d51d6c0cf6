"""A booking as an entry of its guest's calendar, and the part of a mail that puts it there. Pure.

The entry is iCalendar (RFC 5545). Mailed, it is an invitation that the guest has accepted by booking, or its
withdrawal: `METHOD` is iTIP's (RFC 5546, sections 3.2.2 and 3.2.5), the part of the mail iMIP's (RFC 6047). A program
finds its entry again by `UID` and takes the one with the highest `SEQUENCE` for the present one.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import icalendar

from bookings_api.mail.messages import one_line
from bookings_api.models import MailKind

PRODID = "-//Event Booking//Event Booking API//EN"

REQUEST = "REQUEST"
CANCEL = "CANCEL"

_METHODS = {
    MailKind.BOOKING_CONFIRMED: REQUEST,
    MailKind.BOOKING_CHANGED: REQUEST,
    MailKind.EVENT_CHANGED: REQUEST,
    MailKind.BOOKING_CANCELLED: CANCEL,
    MailKind.EVENT_CANCELLED: CANCEL,
}

# What the facts of mails written by older releases lack.
_VERSIONS = {"booking_version", "event_version"}


class Text(icalendar.vText):
    r"""A TEXT value escaped as RFC 5545, section 3.3.11, has it.

    The library's own takes a typed `\N` for a line feed, and so breaks the line in `AC\NC live`.
    """

    def to_ical(self) -> bytes:
        escaped = self.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
        return escaped.encode()


def method_of(kind: MailKind, facts: dict[str, Any]) -> str | None:
    """`REQUEST` or `CANCEL` for a mail that carries a calendar; None for the others, and those of older releases."""
    return _METHODS.get(kind) if facts.keys() >= _VERSIONS else None


def booking_calendar(
    facts: dict[str, Any],
    *,
    booking_id: UUID,
    organizer: tuple[str, str],
    attendee: str,
    stamped_at: datetime,
    is_cancelled: bool = False,
) -> icalendar.Calendar:
    """The booking as a calendar of one entry, without a METHOD: `to_ical()` is a file to download.

    `facts` are those of `messages.event_facts` and `messages.guest_facts`; a missing one raises `KeyError`.
    `organizer` is the service's own name, which may be empty, and address; `attendee` is the guest's address;
    `stamped_at` is when the facts held.
    """
    name, address = organizer
    entry = icalendar.Event()
    entry.add("uid", f"{booking_id}@{address.rpartition('@')[2]}")
    entry.add("sequence", facts["booking_version"] + facts["event_version"] - 2)  # both begin at 1
    entry.add("dtstamp", stamped_at.astimezone(UTC))
    # In UTC, which every program turns into the reader's own time. The event's zone would need a VTIMEZONE: some
    # read it by its name instead, with rules of their own, and a wrong one moves the event. It is in the mail's text.
    entry.add("dtstart", _utc(facts["starts_at"]))
    entry.add("dtend", _utc(facts["ends_at"]))
    entry.add("summary", Text(one_line(facts["event_title"])))
    entry.add("location", Text(one_line(facts["location"])))
    entry.add("description", Text(_description(facts)))
    entry.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    entry.add("organizer", _person(name, address))
    guest = _person(facts["guest_name"], attendee)
    guest.params |= {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "ACCEPTED", "RSVP": "FALSE"}
    entry.add("attendee", guest)

    calendar = icalendar.Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", PRODID)
    calendar.add_component(entry)
    return calendar


def mailed(calendar: icalendar.Calendar, method: str) -> bytes:
    """`calendar` with what it asks the guest's program to do."""
    calendar.add("method", method)
    return bytes(calendar.to_ical())


def _description(facts: dict[str, Any]) -> str:
    lines = {"Reference": facts["reference"], "Tickets": facts["ticket_count"], "Guest": facts["guest_name"]}
    return "\n".join(f"{name}: {one_line(str(value))}" for name, value in lines.items())


def _person(name: str, address: str) -> icalendar.vCalAddress:
    """A CAL-ADDRESS; in a mailto URI (RFC 6068, section 2) an address may hold fewer characters than in a mail."""
    person = icalendar.vCalAddress("mailto:" + quote(address, safe="@!$'*+"))
    # the library quotes and escapes (RFC 6868) a parameter, but lets the control characters through
    if name := one_line(name):
        person.params["CN"] = name
    return person


def _utc(iso: str) -> datetime:
    return datetime.fromisoformat(iso).astimezone(UTC)
