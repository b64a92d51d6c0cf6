"""Renders an email's payload as a subject, text and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from bookings_api.mail.prices import format_price
from bookings_api.models import EmailKind
from bookings_api.models.payloads import FREE_TEXT
from bookings_api.text import one_line, without_links_in

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("bookings_api.mail"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)


@dataclass(frozen=True)
class RenderedEmail:
    """The subject (a single line), the text body and the HTML body of an email."""

    subject: str
    text: str
    html: str


def render(kind: EmailKind, payload: dict[str, Any], joined: Sequence[dict[str, Any]] = ()) -> RenderedEmail:
    """Render the templates of `kind`. Raises `jinja2.UndefinedError` if the payload lacks a value.

    `joined` contains the payloads about the guest's other bookings for the event.
    """
    payload, *joined = (_without_links(each) for each in (payload, *joined))
    payload["bookings"] = [payload, *joined]
    text = _templates.get_template(f"{kind}.txt").make_module(payload)
    subject = one_line(str(vars(text)["subject"]))
    html = _templates.get_template(f"{kind}.html").render(payload, subject=subject)
    return RenderedEmail(subject=subject, text=str(text).lstrip(), html=html)


def _without_links(payload: dict[str, Any]) -> dict[str, Any]:
    items = [without_links_in(item, FREE_TEXT) for item in payload.get("items", [])]
    return without_links_in(payload, FREE_TEXT) | {"items": items}


def _local_time(iso: str, timezone: str) -> str:
    """Format a time as `Friday, 21 June 2030, 19:30 (Europe/Berlin, UTC+02:00)`.

    The UTC offset makes the time unambiguous when clocks are set back.
    """
    local = datetime.fromisoformat(iso).astimezone(ZoneInfo(timezone))
    offset = local.strftime("%z")
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M} ({timezone}, UTC{offset[:3]}:{offset[3:5]})"


def _person(name: str | None, email: str | None) -> str:
    """Format a person as `Olivia (olivia@example.com)`, or as the name or the email if the other is missing."""
    return f"{name} ({email})" if name and email else name or email or ""


_templates.filters["local_time"] = _local_time
_templates.filters["person"] = _person
_templates.filters["price"] = format_price
