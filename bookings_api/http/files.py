"""Answers that are files to download: their name, and the calendars among them."""

from http import HTTPStatus

import flask
from werkzeug.http import generate_etag, quote_etag

from bookings_api.http.conditional import ETAG, is_known_to_client
from bookings_api.http.openapi.examples import REFERENCE

CALENDAR = "text/calendar"

FILE_NAME = {
    "Content-Disposition": {
        "description": "The name for a file of it (RFC 6266).",
        "schema": {"type": "string"},
        "example": f'attachment; filename="booking-{REFERENCE}.ics"',
    }
}

CALENDAR_FILE = {
    "content_type": CALENDAR,
    "schema": {"type": "string"},
    "description": "iCalendar (RFC 5545) with one VEVENT, whose UID stays the same, and whose SEQUENCE grows.",
    "headers": ETAG | FILE_NAME,
}


def file_name(name: str) -> dict[str, str]:
    """The header; `name` is made of ids and our own words, so that nothing that somebody typed stands in it."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def calendar_file(data: bytes, name: str) -> flask.Response:
    """The calendar, or 304 for a client that has it. Its tag is a hash: it says what two rows and a setting do."""
    etag = generate_etag(data)
    tag, kind = {"ETag": quote_etag(etag)}, f"{CALENDAR}; charset=utf-8"
    if is_known_to_client(etag):
        return flask.Response(status=HTTPStatus.NOT_MODIFIED, headers=tag, content_type=kind)
    return flask.Response(data, headers=tag | file_name(name), content_type=kind)
