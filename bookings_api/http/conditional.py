"""Conditional requests (RFC 9110, section 13): `ETag`, `If-None-Match` and `If-Match`.

An ETag contains the resource's version, and values that can change while the version stays the same. For example, an
event's ETag contains the number of booked tickets. The ETag also contains the time of the last change, because bookings
and cancellations can lead to the same number again.

Services lock the row, and then compare only its version with `If-Match`. A booking does not change the event's version,
so an organizer's change never fails because of a booking.
"""

import re
from collections.abc import Callable
from typing import Protocol
from zlib import crc32

import flask
import orjson

from bookings_api.errors import StaleVersion
from bookings_api.models import ApiKey, Booking, Event, TicketType

# Does not match weak tags (W/"..."), which If-Match must ignore (section 13.1.1).
_STRONG_TAG = re.compile(r'(?:^|[,\s])"([^"]*)"')

_TEXT = {"type": "string"}
ETAG = {
    "ETag": {
        "description": (
            "Identifies this version of the resource. Send it in `If-None-Match` when you read the resource again, or"
            " in `If-Match` when you change the resource."
        ),
        "schema": _TEXT,
    }
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": (
        "The `ETag` that you got when you read the resource. The request fails with 412 if the resource has changed"
        " since then."
    ),
    "schema": _TEXT,
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "description": "The `ETag` of your cached copy. If the copy is still current, the response is 304 without a body.",
    "schema": _TEXT,
}


class Versioned(Protocol):
    """A row with a version number, for `If-Match` and ETags."""

    version: int


def etag_of(resource: Versioned) -> str:
    """Return the ETag of a resource, without quotation marks."""
    if isinstance(resource, ApiKey):
        return f"{resource.version}-{resource.last_used_at.timestamp() if resource.last_used_at else 0}"
    if isinstance(resource, Event):
        return f"{resource.version}-{resource.tickets_booked}-{resource.updated_at.timestamp()}"
    if isinstance(resource, Booking):
        # the names and the order of ticket types, and the place on the waiting list, can change without the booking
        items = crc32(orjson.dumps(resource.items, option=orjson.OPT_SORT_KEYS))
        tag = f"{resource.version}-{resource.updated_at.timestamp()}-{items:x}"
        is_waiting = resource.position is not None
        return f"{tag}-{resource.position}-{resource.tickets_ahead}" if is_waiting else tag
    if isinstance(resource, TicketType):
        return f"{resource.version}-{resource.tickets_available}"
    return str(resource.version)


def if_match() -> Callable[[Versioned], None]:
    """Return a function that checks a row against the request's `If-Match`. Services call it with a locked row.

    The function raises `StaleVersion` if the header contains no ETag with the row's version. If the header is missing
    or `*`, the function accepts every row.
    """
    header = flask.request.headers.get("If-Match")
    versions = {tag.partition("-")[0] for tag in _STRONG_TAG.findall(header or "")}

    def check(resource: Versioned) -> None:
        if header is not None and header.strip() != "*" and str(resource.version) not in versions:
            raise StaleVersion

    return check


def is_not_modified(etag: str) -> bool:
    """Whether the request is GET or HEAD and its `If-None-Match` contains `etag`."""
    return flask.request.method in {"GET", "HEAD"} and flask.request.if_none_match.contains_weak(etag)
