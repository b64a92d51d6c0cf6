"""Invitations in emails, both as text and as parsed by a calendar app."""

import unicodedata
from email.message import EmailMessage
from typing import Any

import icalendar
import pytest
from flask import Flask

from bookings_api.models import EmailKind
from tests.calendar.client import calendar_body
from tests.mail.composing import BOOKING_ID, composed, received, row

REQUESTS = (EmailKind.BOOKING_CONFIRMED, EmailKind.BOOKING_CHANGED, EmailKind.EVENT_CHANGED)
CANCELLATIONS = (EmailKind.BOOKING_CANCELLED, EmailKind.BOOKING_REASSIGNED, EmailKind.EVENT_CANCELLED)
WITHOUT = tuple(kind for kind in EmailKind if kind not in REQUESTS + CANCELLATIONS)

# Characters that could end a value, a line, a quoted string or an escape, in the format or in an app.
HOSTILE = (
    'one, two; three: four "five" \\ six',
    "AC\\NC \\n ^n ^' %2C",
    "x\r\nATTENDEE:mailto:eve@example.com\nBEGIN:VALARM\rEND:VEVENT",
    *(f"x{line_end}ATTENDEE:mailto:eve@example.com" for line_end in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    "bell\x07 null\x00 delete\x7f escape\x1b[2J",
    '";X-EVIL=1:mailto:eve@example.com',
    "漢" * 200,
    "\N{PARTY POPPER}" * 200,
    "a\u0301" * 100 + " \N{FAMILY}\u200d\N{BOY} \u05e9\u05dc\u05d5\u05dd",
    " ",
)

pytestmark = pytest.mark.usefixtures("context")


def _body(message: EmailMessage) -> EmailMessage:
    body = calendar_body(message)
    assert body is not None
    return body


def _raw(message: EmailMessage) -> bytes:
    raw = _body(message).get_payload(decode=True)
    assert isinstance(raw, bytes)
    return raw


def _entry(raw: bytes) -> Any:
    (entry,) = icalendar.Calendar.from_ical(raw).subcomponents
    return entry


def _names(raw: bytes) -> list[str]:
    """The names of all content lines, unfolded."""
    lines = raw.decode().replace("\r\n ", "").split("\r\n")
    return [line.partition(":")[0].partition(";")[0] for line in lines]


@pytest.mark.parametrize("kind", REQUESTS, ids=str)
def test_a_confirmed_booking_arrives_as_a_request(kind: EmailKind) -> None:
    message = received(composed(row(kind)))

    body, raw = _body(message), _raw(message)
    assert (body.get_param("method"), body.get_content_charset()) == ("REQUEST", "utf-8")
    assert b"\r\nMETHOD:REQUEST\r\n" in raw
    assert b"\r\nSTATUS:CONFIRMED\r\n" in raw


@pytest.mark.parametrize("kind", CANCELLATIONS, ids=str)
def test_a_cancelled_booking_arrives_as_a_cancellation(kind: EmailKind) -> None:
    message = received(composed(row(kind)))

    body, raw = _body(message), _raw(message)
    assert (body.get_param("method"), body.get_content_charset()) == ("CANCEL", "utf-8")
    assert b"\r\nMETHOD:CANCEL\r\n" in raw
    assert b"\r\nSTATUS:CANCELLED\r\n" in raw


@pytest.mark.parametrize("kind", [*REQUESTS, *CANCELLATIONS], ids=str)
def test_a_booking_that_was_never_confirmed_has_no_calendar(kind: EmailKind) -> None:
    message = received(composed(row(kind, was_confirmed=False)))

    assert calendar_body(message) is None
    assert not list(message.iter_attachments())


@pytest.mark.parametrize("kind", [*REQUESTS, *CANCELLATIONS], ids=str)
def test_an_email_queued_by_an_earlier_release_has_a_calendar(kind: EmailKind) -> None:
    email = row(kind)
    del email.payload["was_confirmed"]

    assert calendar_body(received(composed(email))) is not None


@pytest.mark.parametrize(("kind", "name"), [(REQUESTS[0], "invite.ics"), (CANCELLATIONS[0], "cancelled.ics")], ids=str)
def test_outlook_processes_the_calendar_and_other_programs_can_save_it(kind: EmailKind, name: str) -> None:
    message = received(composed(row(kind)))

    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "application/ics",
    ]  # fmt: skip
    assert _body(message).get_content_disposition() is None
    (file,) = message.iter_attachments()
    assert (file.get_content_disposition(), file.get_filename()) == ("attachment", name)
    assert file.get_payload(decode=True) == _raw(message)


@pytest.mark.parametrize("kind", WITHOUT, ids=str)
def test_other_emails_have_no_calendar(kind: EmailKind) -> None:
    message = received(composed(row(kind)))

    assert calendar_body(message) is None
    assert not list(message.iter_attachments())


def test_the_entry_describes_the_booking() -> None:
    raw = _raw(received(composed(row(booking_version=3, event_version=2))))

    lines = raw.decode().replace("\r\n ", "").split("\r\n")
    assert lines == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Event Booking//Event Booking API//EN",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        "SUMMARY:An Evening of Chamber Music",
        "DTSTART:20990619T173000Z",
        "DTEND:20990619T200000Z",
        "DTSTAMP:20990102T030405Z",
        f"UID:{BOOKING_ID}@example.com",
        "SEQUENCE:3",
        'ATTENDEE;CN="Grace Hopper";PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT;RSVP=FALSE:mailto:grace@example.com',
        "DESCRIPTION:Reference: K7M3PTW9XA\\nTickets: 2\\nGuest: Grace Hopper",
        "LOCATION:Konzerthaus Berlin",
        'ORGANIZER;CN="Olivia Organizer";SENT-BY="mailto:tickets@example.com":mailto:concerts@example.com',
        "STATUS:CONFIRMED",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]


def test_times_are_converted_to_utc() -> None:
    entry = _entry(_raw(received(composed(row(starts_at="2026-10-25T02:30:00+01:00")))))

    assert entry["DTSTART"].to_ical() == b"20261025T013000Z"


@pytest.mark.parametrize("changed", ["booking_version", "event_version"])
def test_each_change_of_booking_or_event_increases_the_sequence(changed: str) -> None:
    emails = [row(EmailKind.BOOKING_CHANGED, **{changed: version}) for version in (1, 2, 3)]

    sequences = [_entry(_raw(received(composed(email))))["SEQUENCE"] for email in emails]

    assert sequences == [0, 1, 2]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_text_breaks_the_calendar_or_injects_content(text: str) -> None:
    harmless = _raw(received(composed(row())))
    raw = _raw(received(composed(row(event_title=text, location=text, guest_name=text, contact_name=text))))

    entry = _entry(raw)
    shown = " ".join("".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text).split())
    assert [name for name in _names(raw) if name] == [name for name in _names(harmless) if name]
    assert not {ord(c) for c in raw.decode().replace("\r\n", "")} & {*range(32), 127, 0x85, 0x2028, 0x2029}
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert (str(entry["SUMMARY"]), str(entry["LOCATION"])) == (shown, shown)
    assert str(entry["DESCRIPTION"]) == f"Reference: K7M3PTW9XA\nTickets: 2\nGuest: {shown}"
    assert str(entry["ATTENDEE"]) == "mailto:grace@example.com"
    assert entry["ATTENDEE"].params.get("CN", "") == shown
    assert str(entry["ORGANIZER"]) == "mailto:concerts@example.com"


def test_a_text_is_escaped_once() -> None:
    raw = _raw(received(composed(row(event_title="AC\\NC, live; at \\n, \\, and \\;"))))

    assert b"\r\nSUMMARY:AC\\\\NC\\, live\\; at \\\\n\\, \\\\\\, and \\\\\\;\r\n" in raw


@pytest.mark.parametrize("contact_name", ['Füße: "Tickets", Inc.', None])
def test_without_the_contacts_address_the_service_is_the_organizer(
    app: Flask, monkeypatch: pytest.MonkeyPatch, contact_name: str | None
) -> None:
    monkeypatch.setitem(app.config, "MAIL_FROM", '"Häuser: \\"Tickets\\"; Ltd." <t@mail.example.com>')

    entry = _entry(_raw(received(composed(row(contact_name=contact_name, contact_email=None)))))

    assert str(entry["ORGANIZER"]) == "mailto:t@mail.example.com"
    assert entry["ORGANIZER"].params == {"CN": contact_name or 'Häuser: "Tickets"; Ltd.'}
    assert str(entry["UID"]) == f"{BOOKING_ID}@mail.example.com"


def test_a_service_without_a_name_is_shown_by_its_address(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "MAIL_FROM", "t@example.com")

    raw = _raw(received(composed(row(contact_name=None, contact_email=None))))

    assert b"\r\nORGANIZER:mailto:t@example.com\r\n" in raw


def test_an_address_is_a_valid_uri() -> None:
    raw = _raw(received(composed(row(recipient="a&b=c%d+e@example.com"))))

    assert str(_entry(raw)["ATTENDEE"]) == "mailto:a%26b%3Dc%25d+e@example.com"
