"""The wording of every mail: facts in, subject, text and HTML out. Pure; knows neither database nor SMTP."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from unicodedata import category
from zoneinfo import ZoneInfo

import jinja2

from bookings_api.models import Booking, Event, MailKind

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("bookings_api.mail"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)

# Controls, lone surrogates, and the separators of lines and paragraphs.
_NOT_IN_A_LINE = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True)
class RenderedMail:
    """A mail as it is sent: the subject is one line."""

    subject: str
    text: str
    html: str


def guest_facts(booking: Booking) -> dict[str, Any]:
    """What a mail says of a booking, as JSON can hold it."""
    return {
        "reference": booking.reference,
        "guest_name": booking.guest_name,
        "ticket_count": booking.ticket_count,
        "booking_version": booking.version,
    }


# What a mail says of an event, and where that stands.
EVENT_FACTS = {
    "event_title": "title",
    "location": "location",
    "timezone": "timezone",
    "starts_at": "starts_at",
    "ends_at": "ends_at",
    "event_version": "version",
}


def event_facts(event: Event) -> dict[str, Any]:
    """What a mail says of an event, as JSON can hold it; times are ISO 8601 in UTC, as PostgreSQL writes them, too."""
    values = {fact: getattr(event, column) for fact, column in EVENT_FACTS.items()}
    return {fact: value.isoformat() if isinstance(value, datetime) else value for fact, value in values.items()}


def one_line(text: str) -> str:
    """`text` with every control character and every line end, as Python or SMTP may take them, made a space."""
    return " ".join("".join(" " if category(c) in _NOT_IN_A_LINE else c for c in text).split())


def render(kind: MailKind, facts: dict[str, Any]) -> RenderedMail:
    """Fill the templates of `kind`; a fact that is missing raises `jinja2.UndefinedError`."""
    text = _templates.get_template(f"{kind}.txt").make_module(facts)
    subject = one_line(str(vars(text)["subject"]))
    html = _templates.get_template(f"{kind}.html").render(facts, subject=subject)
    return RenderedMail(subject=subject, text=str(text).lstrip(), html=html)


def _moment(iso: str, timezone: str) -> str:
    """`Friday, 21 June 2030, 19:30 (Europe/Berlin, UTC+02:00)`: the offset tells apart an hour that comes twice."""
    local = datetime.fromisoformat(iso).astimezone(ZoneInfo(timezone))
    offset = local.strftime("%z")
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M} ({timezone}, UTC{offset[:3]}:{offset[3:5]})"


_templates.filters["moment"] = _moment
