"""Conditional requests (RFC 9110, section 13): `ETag`, `If-None-Match` and `If-Match`.

An ETag is the version that the resource's row carries, and for an event also how many tickets are booked and since
when, which changes what is shown but no field that anybody set; the number alone would come again when tickets are
given back. `If-Match` looks at the version alone, under the lock of the transaction that makes the change; so a booking
in between does not get in an organizer's way.
"""

import re
from collections.abc import Callable
from typing import Protocol

import flask

from bookings_api.errors import StaleVersion
from bookings_api.models import Event

# W/ before the quotation mark makes a weak tag, which never matches (section 13.1.1).
_STRONG_TAG = re.compile(r'(?:^|[,\s])"([^"]*)"')

_TEXT = {"type": "string"}
ETAG = {
    "ETag": {
        "description": "Version of what is answered, for If-None-Match; that of a resource for If-Match, too.",
        "schema": _TEXT,
    }
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "required": False,
    "description": "The ETag that the change is based on; refused with 412 if there is a newer version.",
    "schema": _TEXT,
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "description": "The ETag of what the client has; 304 without a body if it is still the same.",
    "schema": _TEXT,
}


class Versioned(Protocol):
    """A row that counts its changes."""

    version: int


def etag_of(resource: Versioned) -> str:
    """The opaque tag, without its quotation marks."""
    if isinstance(resource, Event):
        return f"{resource.version}-{resource.tickets_booked}-{resource.updated_at.timestamp()}"
    return str(resource.version)


def if_match() -> Callable[[Versioned], None]:
    """The request's `If-Match` as a check for a service, which calls it with the locked row.

    The check raises `StaleVersion`, also for a header that is no list of entity tags: who sends it wants to be
    protected. Without the header it accepts every version.
    """
    header = flask.request.headers.get("If-Match")
    versions = {tag.partition("-")[0] for tag in _STRONG_TAG.findall(header or "")}

    def check(resource: Versioned) -> None:
        if header is not None and header.strip() != "*" and str(resource.version) not in versions:
            raise StaleVersion

    return check


def is_known_to_client(etag: str) -> bool:
    """Whether a read names this tag, without quotation marks, in its `If-None-Match`."""
    return flask.request.method in {"GET", "HEAD"} and flask.request.if_none_match.contains_weak(etag)
