"""Calendar files, and the header that suggests a file name."""

from http import HTTPStatus

import flask
import icalendar
from werkzeug.http import generate_etag, quote_etag

from bookings_api.http.conditional import ETAG, is_not_modified
from bookings_api.http.openapi.examples import REFERENCE

CALENDAR = "text/calendar"

FILE_NAME = {
    "Content-Disposition": {
        "description": "The suggested file name (RFC 6266).",
        "schema": {"type": "string"},
        "example": f'attachment; filename="booking-{REFERENCE}.ics"',
    }
}

CALENDAR_FILE = {
    "content_type": CALENDAR,
    "schema": {"type": "string"},
    "description": (
        "An iCalendar file (RFC 5545) with one VEVENT. The UID of the VEVENT never changes, and its SEQUENCE increases"
        " with each change."
    ),
    "headers": ETAG | FILE_NAME,
}


def file_name(name: str) -> dict[str, str]:
    """Return a `Content-Disposition` header. `name` is not escaped, so it must not contain user input."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def calendar_file(calendar: icalendar.Calendar, name: str) -> flask.Response:
    """Return the calendar as a file, or 304 if the client's copy is current. The `ETag` is a hash of the file."""
    data = calendar.to_ical()
    etag = generate_etag(data)
    headers, content_type = {"ETag": quote_etag(etag)}, f"{CALENDAR}; charset=utf-8"
    if is_not_modified(etag):
        return flask.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers, content_type=content_type)
    return flask.Response(data, headers=headers | file_name(name), content_type=content_type)
