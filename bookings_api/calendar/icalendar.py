"""Events and bookings as iCalendar (RFC 5545). Pure.

An emailed booking and a downloaded one are the same entry: calendar programs recognize it by `UID` and keep the version
with the highest `SEQUENCE`. Downloads have no METHOD; emails do (see `calendar.itip`).

Times are in UTC, which every program converts to the reader's time. The event's own zone would need a VTIMEZONE, which
some programs replace with their own rules for a zone of that name, moving the event if those differ.
"""

from datetime import UTC, datetime
from email.utils import parseaddr
from functools import cache
from typing import Any
from urllib.parse import quote
from uuid import UUID

from bookings_api.calendar.payloads import event_payload, guest_payload
from bookings_api.models import Booking, BookingStatus, Event, EventStatus
from bookings_api.text import one_line

PRODID = "-//Event Booking//Event Booking API//EN"
MAX_LINE = 75  # octets (RFC 5545, section 3.1)
_UTF8_CONTINUATION = range(0x80, 0xC0)  # bytes of a character after its first

CONFIRMED, CANCELLED = "CONFIRMED", "CANCELLED"
_STATUSES = {EventStatus.DRAFT: "TENTATIVE", EventStatus.PUBLISHED: CONFIRMED, EventStatus.CANCELLED: CANCELLED}

_TEXT_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})
_PARAMETER_ESCAPES = str.maketrans({"^": "^^", '"': "^'"})  # RFC 6868


@cache
def mailbox(mail_from: str) -> tuple[str, str]:
    """Name (possibly empty) and address in `MAIL_FROM`, which guests see as the organizer."""
    return parseaddr(one_line(mail_from))


def calendar_of_event(event: Event, *, mail_from: str) -> bytes:
    """A public entry for an event. Cancelled events stay visible as such; drafts are tentative."""
    payload = event_payload(event)
    properties = _event_properties(
        payload, f"{event.id}@{_domain(mail_from)}", payload["event_version"] - 1, event.updated_at
    )
    if event.description:
        properties["DESCRIPTION"] = _text("\n".join(map(one_line, event.description.split("\n"))))
    return _calendar(properties | {"LOCATION": _location(payload), "STATUS": _STATUSES[event.status]})


def calendar_of_booking(booking: Booking, *, mail_from: str) -> bytes:
    """The current state of a booking whose event is loaded."""
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
    method: str | None = None,
) -> bytes:
    """A booking as its emails describe it.

    `payload` merges `event_payload` and `guest_payload`; a missing key raises `KeyError`. `attendee` is the guest's
    address; `stamped_at` is when the payload was current.
    """
    sequence = payload["booking_version"] + payload["event_version"] - 2  # both versions start at 1
    description = {
        "Reference": payload["reference"],
        "Tickets": str(payload["ticket_count"]),
        "Guest": one_line(payload["guest_name"]),
    }
    properties = _event_properties(payload, f"{booking_id}@{_domain(mail_from)}", sequence, stamped_at) | {
        f"ATTENDEE{_common_name(payload['guest_name'])};PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT;RSVP=FALSE": _mailto(
            attendee
        ),
        "DESCRIPTION": _text("\n".join(f"{label}: {value}" for label, value in description.items())),
        "LOCATION": _location(payload),
        f"ORGANIZER{_common_name(mailbox(mail_from)[0])}": _mailto(mailbox(mail_from)[1]),
        "STATUS": CANCELLED if is_cancelled else CONFIRMED,
    }
    return _calendar(properties, method)


def _event_properties(payload: dict[str, Any], uid: str, sequence: int, stamped_at: datetime) -> dict[str, str]:
    return {
        "SUMMARY": _text(one_line(payload["event_title"])),
        "DTSTART": _utc(datetime.fromisoformat(payload["starts_at"])),
        "DTEND": _utc(datetime.fromisoformat(payload["ends_at"])),
        "DTSTAMP": _utc(stamped_at),
        "UID": uid,
        "SEQUENCE": str(sequence),
    }


def _location(payload: dict[str, Any]) -> str:
    return _text(one_line(payload["location"]))


def _calendar(properties: dict[str, str], method: str | None = None) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODID}"]
    if method:
        lines.append(f"METHOD:{method}")
    lines += ["BEGIN:VEVENT", *(f"{name}:{value}" for name, value in properties.items()), "END:VEVENT", "END:VCALENDAR"]
    return b"".join(map(_folded, lines))


def _folded(line: str) -> bytes:
    """A content line, folded so that no part is longer than `MAX_LINE` octets or splits a character."""
    rest = line.encode()
    folded = b""
    while len(rest) > MAX_LINE:
        end = MAX_LINE
        while rest[end] in _UTF8_CONTINUATION:
            end -= 1
        folded += rest[:end] + b"\r\n"
        rest = b" " + rest[end:]
    return folded + rest + b"\r\n"


def _text(value: str) -> str:
    return value.translate(_TEXT_ESCAPES)


def _common_name(name: str) -> str:
    name = one_line(name).translate(_PARAMETER_ESCAPES)
    return f';CN="{name}"' if name else ""


def _mailto(address: str) -> str:
    """A `mailto` URI (RFC 6068, section 2), where an address may contain fewer characters than in an email."""
    return "mailto:" + quote(address, safe="@!$'*+")


def _domain(mail_from: str) -> str:
    return mailbox(mail_from)[1].rpartition("@")[2]


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
