"""Events and bookings as iCalendar (RFC 5545).

Emails and downloads contain the same entry for a booking. Calendar apps recognize the entry by its `UID` and keep the
version with the highest `SEQUENCE`. Only calendars in emails have a `METHOD` (see `calendar.itip`).

Times are in UTC, and apps convert them to local time. Times in the event's time zone would need a `VTIMEZONE`
component. Some apps ignore this component and use their own rules for the zone, so they could show a wrong time.
"""

from datetime import UTC, datetime
from email.utils import parseaddr
from functools import cache
from typing import Any
from urllib.parse import quote
from uuid import UUID

import icalendar

from bookings_api.models import Booking, BookingStatus, Event, EventStatus
from bookings_api.models.payloads import FREE_TEXT, booking_payload, event_payload
from bookings_api.text import one_line, without_links_in

PRODID = "-//Event Booking//Event Booking API//EN"

# RFC 5545, section 3.8.1.11
TENTATIVE, CONFIRMED, CANCELLED = "TENTATIVE", "CONFIRMED", "CANCELLED"
_STATUSES = {EventStatus.DRAFT: TENTATIVE, EventStatus.PUBLISHED: CONFIRMED, EventStatus.CANCELLED: CANCELLED}
_STATUSES_OF_BOOKINGS = {
    BookingStatus.CONFIRMED: CONFIRMED,
    BookingStatus.HELD: TENTATIVE,
    BookingStatus.WAITLISTED: TENTATIVE,
    BookingStatus.EXPIRED: CANCELLED,
    BookingStatus.CANCELLED: CANCELLED,
}


class Text(icalendar.vText):
    r"""A TEXT value, escaped as in RFC 5545, section 3.3.11.

    The library's own type turns `\N` in the text into a line break, which would split `AC\NC live` in two.
    """

    def to_ical(self) -> bytes:
        return self.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n").encode()


@cache
def mailbox(mail_from: str) -> tuple[str, str]:
    """Split `MAIL_FROM` into a name and an address. The name may be empty."""
    return parseaddr(one_line(mail_from))


def calendar_of_event(event: Event, *, mail_from: str) -> icalendar.Calendar:
    """Return a calendar with an event. The status of a draft is `TENTATIVE`."""
    payload = event_payload(event)
    entry = _entry(payload, f"{event.id}@{_domain(mail_from)}", payload["event_version"] - 1, event.updated_at)
    if event.description:
        entry.add("description", Text("\n".join(map(one_line, event.description.split("\n")))))
    entry.add("status", _STATUSES[event.status])
    return _calendar(entry)


def calendar_of_booking(booking: Booking, *, mail_from: str) -> icalendar.Calendar:
    """Return a calendar with the current state of a booking. The booking's event must be loaded.

    The status of a booking that is held or on the waiting list is `TENTATIVE`.
    """
    return booking_calendar(
        event_payload(booking.event) | booking_payload(booking),
        booking_id=booking.id,
        attendee=booking.guest_email,
        mail_from=mail_from,
        stamped_at=max(booking.updated_at, booking.event.updated_at),
        status=_STATUSES_OF_BOOKINGS[booking.status],
    )


def booking_calendar(
    payload: dict[str, Any],
    *,
    booking_id: UUID,
    attendee: str,
    mail_from: str,
    stamped_at: datetime,
    status: str,
) -> icalendar.Calendar:
    """Return a calendar with a booking.

    `payload` merges `event_payload` and `booking_payload`. `attendee` is the guest's address. `stamped_at` becomes
    the DTSTAMP: the time of the last change or, for an email, the time when it was queued. `status` is the STATUS.
    """
    payload = without_links_in(payload, FREE_TEXT)
    sequence = payload["booking_version"] + payload["event_version"] - 2  # both versions start at 1
    description = {
        "Reference": payload["reference"],
        "Tickets": one_line(payload.get("tickets") or str(payload["ticket_count"])),
        "Guest": one_line(payload["guest_name"]),
    }
    entry = _entry(payload, f"{booking_id}@{_domain(mail_from)}", sequence, stamped_at)
    entry.add("description", Text("\n".join(f"{label}: {value}" for label, value in description.items())))
    entry.add("status", status)
    entry.add("organizer", _organizer(payload, mail_from))
    guest = _person(payload["guest_name"], attendee)
    guest.params |= {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "ACCEPTED", "RSVP": "FALSE"}
    entry.add("attendee", guest)
    return _calendar(entry)


def _entry(payload: dict[str, Any], uid: str, sequence: int, stamped_at: datetime) -> icalendar.Event:
    entry = icalendar.Event()
    entry.add("uid", uid)
    entry.add("sequence", sequence)
    entry.add("dtstamp", stamped_at.astimezone(UTC))
    entry.add("dtstart", datetime.fromisoformat(payload["starts_at"]).astimezone(UTC))
    entry.add("dtend", datetime.fromisoformat(payload["ends_at"]).astimezone(UTC))
    entry.add("summary", Text(one_line(payload["event_title"])))
    entry.add("location", Text(one_line(payload["location"])))
    return entry


def _calendar(entry: icalendar.Event) -> icalendar.Calendar:
    calendar = icalendar.Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", PRODID)
    calendar.add_component(entry)
    return calendar


def _organizer(payload: dict[str, Any], mail_from: str) -> icalendar.vCalAddress:
    """Return the event's contact. A missing name or address is taken from `MAIL_FROM`.

    `SENT-BY` says that the service sends invitations on the contact's behalf (RFC 5545, section 3.2.18).
    """
    name, address = mailbox(mail_from)
    organizer = _person(payload["contact_name"] or name, payload["contact_email"] or address)
    if payload["contact_email"]:
        organizer.params["SENT-BY"] = str(_person("", address))
    return organizer


def _person(name: str, address: str) -> icalendar.vCalAddress:
    """Return a calendar user. Percent-encodes the address for its `mailto` URI (RFC 6068, section 2)."""
    person = icalendar.vCalAddress("mailto:" + quote(address, safe="@!$'*+"))
    # the library escapes parameters (RFC 6868) but does not remove control characters
    if name := one_line(name):
        person.params["CN"] = name
    return person


def _domain(mail_from: str) -> str:
    return mailbox(mail_from)[1].rpartition("@")[2]
