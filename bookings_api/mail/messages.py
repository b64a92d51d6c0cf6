"""The wording of every mail: facts in, subject, text and HTML out. Pure; knows neither database nor SMTP."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from bookings_api.models import EmailKind
from bookings_api.text import one_line

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("bookings_api.mail"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class RenderedMail:
    """A mail as it is sent: the subject is one line."""

    subject: str
    text: str
    html: str


def render(kind: EmailKind, payload: dict[str, Any]) -> RenderedMail:
    """Fill the templates of `kind`; a fact that is missing raises `jinja2.UndefinedError`."""
    text = _templates.get_template(f"{kind}.txt").make_module(payload)
    subject = one_line(str(vars(text)["subject"]))
    html = _templates.get_template(f"{kind}.html").render(payload, subject=subject)
    return RenderedMail(subject=subject, text=str(text).lstrip(), html=html)


def _moment(iso: str, timezone: str) -> str:
    """`Friday, 21 June 2030, 19:30 (Europe/Berlin, UTC+02:00)`: the offset tells apart an hour that comes twice."""
    local = datetime.fromisoformat(iso).astimezone(ZoneInfo(timezone))
    offset = local.strftime("%z")
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M} ({timezone}, UTC{offset[:3]}:{offset[3:5]})"


_templates.filters["moment"] = _moment
