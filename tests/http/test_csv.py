"""The attendee list as CSV: complete, safe to open in a spreadsheet, and streamed in constant memory."""

import csv
import io
import re
import tracemalloc
import unicodedata
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bookings_api.http.csv import BATCH, batch_lock
from bookings_api.http.schemas import DEFAULT_PAGE_SIZE
from tests.factories import API, Account, book, make_organizer, make_user
from tests.http.attendee_list import AttendeeList, add_bookings, make_attendee_list, without_bookings_table

CSV = {"Accept": "text/csv"}


@pytest.fixture
def attendee_list(client: FlaskClient) -> AttendeeList:
    return make_attendee_list(client)


def _file(client: FlaskClient, attendee_list: AttendeeList, query: str = "", **headers: str) -> TestResponse:
    return client.get(attendee_list.url + query, headers={**attendee_list.owner.headers, **CSV, **headers})


def _rows(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.data.decode("utf-8-sig"), newline=""), strict=True))


def _cell(value: Any) -> str:
    """Return the cell with a JSON value. Text is not quoted."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def test_the_file_has_the_same_data_as_the_json_list(client: FlaskClient, attendee_list: AttendeeList) -> None:
    users = [make_user(client) for _ in range(3)]
    bookings = [book(client, one, attendee_list.event, guest_name=f'Zoë "{one.id}", Füße').json for one in users]
    client.delete(f"{API}/bookings/{bookings[1]['id']}", headers=users[1].headers)

    response = _file(client, attendee_list)

    listed = client.get(attendee_list.url, headers=attendee_list.owner.headers).json
    assert _rows(response) == [{name: _cell(value) for name, value in one.items()} for one in listed]
    assert list(_rows(response)[0]) == list(listed[0])


def test_the_file_is_utf_8_with_a_byte_order_mark_header_row_and_crlf(
    client: FlaskClient, attendee_list: AttendeeList
) -> None:
    response = _file(client, attendee_list)

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == f'attachment; filename="bookings-{attendee_list.event["id"]}.csv"'
    assert response.data == (
        b'\xef\xbb\xbf"id","reference","event_id","user_id","ticket_count","guest_name","guest_email","status",'
        b'"version","created_at","updated_at","cancelled_at","api_key_id","booked_by","external_id","metadata",'
        b'"items","amount_due","currency","held_until","position","tickets_ahead","refund_due"\r\n'
    )


@pytest.mark.parametrize(
    "accept",
    [
        None, "", "*/*", "application/json", "application/*", "text/csv, application/json", "text/csv;q=0, */*",
        "text/csv;q=0.4, application/json;q=0.5", "text/csv;q=0.5, */*", "text/html", "application/xml;q=0.9", "text",
        ";;,", "text/csv;q=x", "application/json;q=0",
    ],
)  # fmt: skip
def test_the_response_is_json_unless_csv_is_preferred(
    client: FlaskClient, attendee_list: AttendeeList, accept: str | None
) -> None:
    headers = {**attendee_list.owner.headers, **({} if accept is None else {"Accept": accept})}
    response = client.get(attendee_list.url, headers=headers)

    assert (response.status_code, response.mimetype, response.json) == (200, "application/json", [])
    assert "Accept" in response.headers.getlist("Vary")


@pytest.mark.parametrize(
    "accept",
    [
        "text/csv", "TEXT/CSV", "text/*", "text/csv; charset=utf-8", "text/csv;header=present;q=0.3",
        "text/csv, */*;q=0.1", "application/json;q=0.5, text/csv;q=0.6", "application/json;q=0, */*",
        "text/csv, application/xml",
    ],
)  # fmt: skip
def test_the_response_is_csv_if_preferred(client: FlaskClient, attendee_list: AttendeeList, accept: str) -> None:
    response = _file(client, attendee_list, Accept=accept)

    assert (response.status_code, response.mimetype) == (200, "text/csv")
    assert "Accept" in response.headers.getlist("Vary")


def test_the_file_can_be_filtered_like_the_json_list(client: FlaskClient, attendee_list: AttendeeList) -> None:
    user = make_user(client)
    confirmed, cancelled = (book(client, user, attendee_list.event).json["id"] for _ in range(2))
    client.delete(f"{API}/bookings/{cancelled}", headers=user.headers)

    assert [row["id"] for row in _rows(_file(client, attendee_list, "?status=confirmed"))] == [confirmed]
    assert [row["id"] for row in _rows(_file(client, attendee_list, "?status=cancelled"))] == [cancelled]
    assert _file(client, attendee_list, "?status=lost").status_code == 422


def test_requesting_a_page_of_the_file_is_refused(client: FlaskClient, attendee_list: AttendeeList) -> None:
    response = _file(client, attendee_list, "?page=2&page_size=50")

    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [
        ("query", "page"), ("query", "page_size")
    ]  # fmt: skip


def test_the_default_page_parameters_return_the_whole_file(
    client: FlaskClient, attendee_list: AttendeeList, database: sa.Engine
) -> None:
    add_bookings(database, attendee_list, DEFAULT_PAGE_SIZE + 1)

    file = _file(client, attendee_list, f"?page=1&page_size={DEFAULT_PAGE_SIZE}")

    assert len(_rows(file)) == DEFAULT_PAGE_SIZE + 1


def test_the_file_is_refused_over_http_1_0(client: FlaskClient, attendee_list: AttendeeList) -> None:
    # HTTP/1.0 has no chunked encoding, so clients could not detect a truncated file
    headers = {**attendee_list.owner.headers, **CSV}
    response = client.get(attendee_list.url, headers=headers, environ_overrides={"SERVER_PROTOCOL": "HTTP/1.0"})

    assert (response.status_code, response.json["code"]) == (505, "http-version-not-supported")


@pytest.mark.parametrize("make", [make_user, make_organizer], ids=["user", "other organizer"])
def test_only_the_events_organizer_gets_the_file(client: FlaskClient, attendee_list: AttendeeList, make: Any) -> None:
    other: Account = make(client)
    response = client.get(attendee_list.url, headers={**other.headers, **CSV})

    assert (response.status_code, response.mimetype) == (403, "application/problem+json")


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, 2 * BATCH + 1])
def test_the_file_has_each_booking_once_in_list_order(
    client: FlaskClient, database: sa.Engine, attendee_list: AttendeeList, count: int
) -> None:
    add_bookings(database, attendee_list, count)

    ids = [row["id"] for row in _rows(_file(client, attendee_list))]

    with database.connect() as connection:
        assert ids == list(map(str, connection.scalars(sa.text("SELECT id FROM bookings ORDER BY id"))))
    assert len(ids) == count


# Text that a spreadsheet may evaluate: a formula at the start, after a possible delimiter, or after invisible
# characters. Some programs accept full-width operators such as \uff0b as well.
FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\tx", "\r=1", "\rx", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20A1",
    "\ufe661", "\ufe621", "\ufe631", "\ufe6bA1", " =1", "\u200b=1", "\ufeff=1", "\u202e=1", "\xa0=1", "\u3000\uff1d1",
    '=cmd|" /C calc"!A0', 'x;=HYPERLINK("http://evil.example")', "x; @A1", "x,=1", "x,,-1", "x\t=1", "x\n=1", "x\r\n+1",
    'x";=1', "x;;=1", "==1", ";=1", 'x;"=1+1;y', 'x\t"@A1', 'x; "=1', "\ufff9=1", "\U000e0020=1",
]  # fmt: skip


HARMLESS = [
    "Anne-Marie O'Neil", "x = y", "a;b", "Grace; Ada", "漢字 - é", "'=1", "a, b-c", "x@example.com", "Guest 2", "R2-D2",
    "7 of 9", "March", "May Mars 2", "True Grit", "#1 fan",
]  # fmt: skip

# Text that a spreadsheet converts, even if it is quoted.
CONVERTED = [
    "0012345", "1/2", "1-2", "12:30", "1.5", "1,5", "50%", "3e5", "3E-5", "1E5", "$ 5", "(5)", "\uff11\uff12", "\u0663",
    "Mar 1", "1-Mar", "March 2099", "1 JAN 2099 12:30 pm", "7 PM", "7 a.m.", "May 5", "TRUE", "false", "#N/A",
]  # fmt: skip


def _cells(file: str, delimiter: str, *, is_quoted: bool) -> list[str]:
    """Cells as split by a program that honors quotation marks, or by one that ignores them."""
    if not is_quoted:
        return re.split(rf"[\r\n{delimiter}]", file)
    return [cell for row in csv.reader(io.StringIO(file, newline=""), delimiter=delimiter) for cell in row]


@pytest.mark.parametrize("is_quoted", [True, False], ids=["quoted", "unquoted"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_no_cell_is_a_formula_with_any_delimiter_or_quoting(
    client: FlaskClient, database: sa.Engine, attendee_list: AttendeeList, delimiter: str, *, is_quoted: bool
) -> None:
    for text in FORMULAS:
        add_bookings(database, attendee_list, 1, guest_name=text)

    response = _file(client, attendee_list)

    for cell in _cells(response.data.decode("utf-8-sig"), delimiter, is_quoted=is_quoted):
        visible = [c for c in unicodedata.normalize("NFKC", cell) if unicodedata.category(c) not in {"Cf", "Cc", "Zs"}]
        assert not visible or visible[0] not in "=+-@", ascii(cell)
    assert sorted(row["guest_name"].replace("'", "") for row in _rows(response)) == sorted(FORMULAS)


def test_harmless_text_is_unchanged(client: FlaskClient, database: sa.Engine, attendee_list: AttendeeList) -> None:
    for text in HARMLESS:
        add_bookings(database, attendee_list, 1, guest_name=text)

    assert sorted(row["guest_name"] for row in _rows(_file(client, attendee_list))) == sorted(HARMLESS)


def test_text_that_a_spreadsheet_would_convert_stays_text(
    client: FlaskClient, database: sa.Engine, attendee_list: AttendeeList
) -> None:
    for text in CONVERTED:
        add_bookings(database, attendee_list, 1, guest_name=text)

    rows = _rows(_file(client, attendee_list))

    assert sorted(row["guest_name"] for row in rows) == sorted(f"'{text}" for text in CONVERTED)
    assert {row["ticket_count"] for row in rows} == {"1"}


@pytest.mark.parametrize(("name", "character"), [("comma", ","), ("semicolon", ";"), ("tab", "\t")])
def test_the_separator_can_be_chosen(
    client: FlaskClient, database: sa.Engine, attendee_list: AttendeeList, name: str, character: str
) -> None:
    add_bookings(database, attendee_list, BATCH + 1, guest_name="Hopper; Grace, Dr.")

    file = _file(client, attendee_list, f"?separator={name}").data.decode("utf-8-sig")

    rows = list(csv.DictReader(io.StringIO(file, newline=""), delimiter=character, strict=True))
    assert [row["guest_name"] for row in rows] == ["Hopper; Grace, Dr."] * (BATCH + 1)
    assert _file(client, attendee_list, "?separator=;").status_code == 422
    assert client.get(f"{attendee_list.url}?separator={name}", headers=attendee_list.owner.headers).status_code == 200


def _peak_bytes(client: FlaskClient, attendee_list: AttendeeList) -> tuple[int, int]:
    """Peak memory allocated while the file is sent, and the file's size."""
    response = client.get(attendee_list.url, headers={**attendee_list.owner.headers, **CSV}, buffered=False)
    tracemalloc.start()
    try:
        size = sum(map(len, response.response))
        return tracemalloc.get_traced_memory()[1], size
    finally:
        tracemalloc.stop()
        response.close()


def test_memory_use_does_not_grow_with_the_file(
    client: FlaskClient, database: sa.Engine, attendee_list: AttendeeList
) -> None:
    add_bookings(database, attendee_list, 2 * BATCH)
    _peak_bytes(client, attendee_list)  # allocates what is cached for later requests
    short_peak, short_size = _peak_bytes(client, attendee_list)
    add_bookings(database, attendee_list, 8 * BATCH)

    long_peak, long_size = _peak_bytes(client, attendee_list)

    assert long_size > 4 * short_size
    assert long_peak < 1.5 * short_peak


def test_a_failure_before_the_first_byte_returns_a_problem(
    client: FlaskClient, database: sa.Engine, attendee_list: AttendeeList
) -> None:
    with without_bookings_table(database):
        response = _file(client, attendee_list)

    assert (response.status_code, response.mimetype) == (500, "application/problem+json")


def test_a_request_that_waits_too_long_for_its_turn_gets_503(
    client: FlaskClient, attendee_list: AttendeeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bookings_api.http.csv.LOCK_TIMEOUT_SECONDS", 0.1)
    with batch_lock:
        response = _file(client, attendee_list)

    assert (response.status_code, response.json["code"]) == (503, "unavailable")
    assert "Retry-After" in response.headers
    assert _rows(_file(client, attendee_list)) == []


def test_head_returns_the_headers_of_get(client: FlaskClient, attendee_list: AttendeeList) -> None:
    response = client.head(attendee_list.url, headers={**attendee_list.owner.headers, **CSV})

    assert (response.status_code, response.mimetype, response.data) == (200, "text/csv", b"")
