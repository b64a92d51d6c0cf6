"""Conditional requests (RFC 9110, section 13): `ETag`, `If-None-Match` and `If-Match`.

An ETag is the version that the resource's row carries, and for an event also how many tickets are booked, which
changes what is shown but no field that anybody set. `If-Match` looks at the version alone, under the lock of the
transaction that makes the change; so a booking in between does not get in an organizer's way.
"""

from collections.abc import Callable
from typing import Protocol

import flask

from bookings_api.errors import StaleVersion
from bookings_api.models import Event

_TEXT = {"type": "string"}
ETAG = {"ETag": {"description": "Version of the resource, for If-None-Match and If-Match.", "schema": _TEXT}}
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
    return f"{resource.version}-{resource.tickets_booked}" if isinstance(resource, Event) else str(resource.version)


def if_match() -> Callable[[Versioned], None]:
    """The request's `If-Match` as a check for a service, which calls it with the locked row.

    The check raises `StaleVersion`; without the header it accepts every version.
    """
    wanted = flask.request.if_match

    def check(resource: Versioned) -> None:
        versions = {tag.partition("-")[0] for tag in wanted.as_set(include_weak=False)}
        if wanted and not wanted.star_tag and str(resource.version) not in versions:
            raise StaleVersion

    return check
