"""Events and bookings as entries of a calendar: iCalendar (RFC 5545). Pure.

What is mailed of a booking and what is downloaded are one entry: a program finds its entry again by `UID`, and takes
the one with the highest `SEQUENCE` for the present one. A calendar comes without a METHOD, as a file has none: with
`PUBLISH`, iTIP (RFC 5546, section 3.2.1) would forbid the guest to stand in it. What a mail asks for is in `mail.itip`.

Times are in UTC, which every program turns into the reader's own time. The event's zone would need a VTIMEZONE: some
read it by its name instead, with rules of their own, and a wrong one moves the event.
"""

from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any
from urllib.parse import quote
from uuid import UUID

import icalendar

from bookings_api.calendar.payloads import event_payload, guest_payload
from bookings_api.models import Booking, BookingStatus, Event, EventStatus
from bookings_api.text import one_line

PRODID = "-//Event Booking//Event Booking API//EN"

CONFIRMED, CANCELLED = "CONFIRMED", "CANCELLED"
_STATUSES = {EventStatus.DRAFT: "TENTATIVE", EventStatus.PUBLISHED: CONFIRMED, EventStatus.CANCELLED: CANCELLED}


class Text(icalendar.vText):
    r"""A TEXT value escaped as RFC 5545, section 3.3.11, has it.

    The library's own takes a typed `\N` for a line feed, and so breaks the line in `AC\NC live`.
    """

    def to_ical(self) -> bytes:
        escaped = self.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
        return escaped.encode()


def mailbox(mail_from: str) -> tuple[str, str]:
    """Name, which may be empty, and address of `MAIL_FROM`: the organizer whom a guest's calendar shows."""
    return parseaddr(one_line(mail_from))


def calendar_of_event(event: Event, *, mail_from: str) -> icalendar.Calendar:
    """An event as everybody may see it, cancelled ones too; a draft is tentative."""
    payload = event_payload(event)
    entry = _entry(payload, f"{event.id}@{_domain(mail_from)}", payload["event_version"] - 1, event.updated_at)
    if event.description:
        entry.add("description", Text("\n".join(map(one_line, event.description.split("\n")))))
    entry.add("status", _STATUSES[event.status])
    return _calendar(entry)


def calendar_of_booking(booking: Booking, *, mail_from: str) -> icalendar.Calendar:
    """A booking as it stands, with its event loaded."""
    return booking_calendar(
        event_payload(booking.event) | guest_payload(booking),
        booking_id=booking.id,
        attendee=booking.guest_email,
        mail_from=mail_from,
        stamped_at=max(booking.updated_at, booking.event.updated_at),
        is_cancelled=booking.status is BookingStatus.CANCELLED,
    )


def booking_calendar(
    payload: dict[str, Any],
    *,
    booking_id: UUID,
    attendee: str,
    mail_from: str,
    stamped_at: datetime,
    is_cancelled: bool,
) -> icalendar.Calendar:
    """A booking as its emails describe it.

    `payload` merges `event_payload` and `guest_payload`; a missing key raises `KeyError`. `attendee` is the guest's
    address; `stamped_at` is when the payload was current.
    """
    sequence = payload["booking_version"] + payload["event_version"] - 2  # both begin at 1
    entry = _entry(payload, f"{booking_id}@{_domain(mail_from)}", sequence, stamped_at)
    entry.add("description", Text(_told(payload)))
    entry.add("status", CANCELLED if is_cancelled else CONFIRMED)
    entry.add("organizer", _person(*mailbox(mail_from)))
    guest = _person(payload["guest_name"], attendee)
    guest.params |= {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "ACCEPTED", "RSVP": "FALSE"}
    entry.add("attendee", guest)
    return _calendar(entry)


def _entry(payload: dict[str, Any], uid: str, sequence: int, stamped_at: datetime) -> icalendar.Event:
    entry = icalendar.Event()
    entry.add("uid", uid)
    entry.add("sequence", sequence)
    entry.add("dtstamp", stamped_at.astimezone(UTC))
    entry.add("dtstart", _utc(payload["starts_at"]))
    entry.add("dtend", _utc(payload["ends_at"]))
    entry.add("summary", Text(one_line(payload["event_title"])))
    entry.add("location", Text(one_line(payload["location"])))
    return entry


def _calendar(entry: icalendar.Event) -> icalendar.Calendar:
    calendar = icalendar.Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", PRODID)
    calendar.add_component(entry)
    return calendar


def _told(payload: dict[str, Any]) -> str:
    lines = {"Reference": payload["reference"], "Tickets": payload["ticket_count"], "Guest": payload["guest_name"]}
    return "\n".join(f"{name}: {one_line(str(value))}" for name, value in lines.items())


def _domain(mail_from: str) -> str:
    return mailbox(mail_from)[1].rpartition("@")[2]


def _person(name: str, address: str) -> icalendar.vCalAddress:
    """A CAL-ADDRESS; in a mailto URI (RFC 6068, section 2) an address may hold fewer characters than in a mail."""
    person = icalendar.vCalAddress("mailto:" + quote(address, safe="@!$'*+"))
    # the library quotes and escapes (RFC 6868) a parameter, but lets the control characters through
    if name := one_line(name):
        person.params["CN"] = name
    return person


def _utc(iso: str) -> datetime:
    return datetime.fromisoformat(iso).astimezone(UTC)
