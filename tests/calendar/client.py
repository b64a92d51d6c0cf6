"""A calendar app: imports the invitations in emails, as RFC 5546 requires, with two independent parsers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any

import icalendar
import vobject


@dataclass(frozen=True)
class Invitation:
    """What a calendar app reads from an email."""

    method: str
    uid: str
    sequence: int
    status: str
    attendee: str
    organizer: str
    organizer_name: str
    title: str
    location: str
    starts_at: datetime
    ends_at: datetime


class Calendar:
    """The calendar of one person, by UID. Ignores invitations that are older than its entry."""

    def __init__(self) -> None:
        self.entries: dict[str, Invitation] = {}

    def receive(self, emails: Iterable[EmailMessage]) -> list[Invitation]:
        """Import the invitations in `emails` in the order of their SEQUENCE, and return them."""
        invitations = sorted(filter(None, map(read_invitation, emails)), key=lambda invitation: invitation.sequence)
        for invitation in invitations:
            known = self.entries.get(invitation.uid)
            if known is None or invitation.sequence >= known.sequence:
                self.entries[invitation.uid] = invitation
        return invitations


def calendar_body(email: EmailMessage) -> EmailMessage | None:
    """Return the calendar that Outlook processes: the last child of `multipart/alternative`."""
    (alternative,) = [part for part in email.walk() if part.get_content_type() == "multipart/alternative"]
    *_, last = alternative.iter_parts()
    if last.get_content_type() != "text/calendar":
        return None
    assert isinstance(last, EmailMessage)
    return last


def read_invitation(email: EmailMessage) -> Invitation | None:
    """Return the invitation in an email, on which both parsers must agree, or None if it has none."""
    body = calendar_body(email)
    if body is None:
        return None
    raw = body.get_payload(decode=True)
    assert isinstance(raw, bytes)
    read = _with_icalendar(raw)
    assert _with_vobject(raw) == read
    assert body.get_param("method") == read.method
    return read


def _with_icalendar(raw: bytes) -> Invitation:
    calendar: Any = icalendar.Calendar.from_ical(raw)
    (event,) = calendar.events
    return Invitation(
        method=str(calendar["METHOD"]),
        uid=str(event["UID"]),
        sequence=int(event["SEQUENCE"]),
        status=str(event["STATUS"]),
        attendee=str(event["ATTENDEE"]),
        organizer=str(event["ORGANIZER"]),
        organizer_name=str(event["ORGANIZER"].params["CN"]),
        title=str(event["SUMMARY"]),
        location=str(event["LOCATION"]),
        starts_at=event["DTSTART"].dt,
        ends_at=event["DTEND"].dt,
    )


def _with_vobject(raw: bytes) -> Invitation:
    (calendar,) = vobject.readComponents(raw.decode())
    (event,) = calendar.vevent_list
    return Invitation(
        method=calendar.method.value,
        uid=event.uid.value,
        sequence=int(event.sequence.value),
        status=event.status.value,
        attendee=event.attendee.value,
        organizer=event.organizer.value,
        organizer_name=event.organizer.cn_param,
        title=event.summary.value,
        location=event.location.value,
        starts_at=event.dtstart.value,
        ends_at=event.dtend.value,
    )
