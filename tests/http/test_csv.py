"""The attendee list as a file for spreadsheets: complete, harmless, and never much of it in memory."""

import csv
import io
import re
import tracemalloc
import unicodedata
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bookings_api.http.csv import BATCH, turn
from bookings_api.http.schemas import DEFAULT_PAGE_SIZE
from tests.factories import API, Account, book, make_organizer, make_user
from tests.http.attendees import Attended, add_bookings, make_attended

CSV = {"Accept": "text/csv"}


@pytest.fixture
def attended(client: FlaskClient) -> Attended:
    return make_attended(client)


def _file(client: FlaskClient, attended: Attended, query: str = "", **headers: str) -> TestResponse:
    return client.get(attended.url + query, headers={**attended.owner.headers, **CSV, **headers})


def _rows(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.data.decode("utf-8-sig"), newline=""), strict=True))


def test_the_file_has_what_the_list_has(client: FlaskClient, attended: Attended) -> None:
    users = [make_user(client) for _ in range(3)]
    bookings = [book(client, user, attended.event, guest_name=f'Zoë "{n}", Füße').json for n, user in enumerate(users)]
    client.delete(f"{API}/bookings/{bookings[1]['id']}", headers=users[1].headers)

    response = _file(client, attended)

    listed = client.get(attended.url, headers=attended.owner.headers).json
    assert _rows(response) == [
        {name: "" if value is None else str(value) for name, value in booking.items()} for booking in listed
    ]
    assert list(_rows(response)[0]) == list(listed[0])


def test_it_is_utf_8_with_a_byte_order_mark_a_header_row_and_crlf(client: FlaskClient, attended: Attended) -> None:
    response = _file(client, attended)

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == f'attachment; filename="bookings-{attended.event["id"]}.csv"'
    assert response.data == (
        b'\xef\xbb\xbf"id","reference","event_id","user_id","ticket_count","guest_name","guest_email","status",'
        b'"version","created_at","updated_at","cancelled_at"\r\n'
    )


@pytest.mark.parametrize(
    "accept",
    [
        None, "", "*/*", "application/json", "application/*", "text/csv, application/json", "text/csv;q=0, */*",
        "text/csv;q=0.4, application/json;q=0.5", "text/csv;q=0.5, */*", "text/html", "application/xml;q=0.9", "text",
        ";;,", "text/csv;q=x", "application/json;q=0",
    ],
)  # fmt: skip
def test_json_comes_unless_csv_is_preferred(client: FlaskClient, attended: Attended, accept: str | None) -> None:
    headers = {**attended.owner.headers, **({} if accept is None else {"Accept": accept})}
    response = client.get(attended.url, headers=headers)

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
def test_csv_comes_where_it_is_preferred(client: FlaskClient, attended: Attended, accept: str) -> None:
    response = _file(client, attended, Accept=accept)

    assert (response.status_code, response.mimetype) == (200, "text/csv")
    assert "Accept" in response.headers.getlist("Vary")


def test_the_filter_of_the_list_is_the_files_too(client: FlaskClient, attended: Attended) -> None:
    user = make_user(client)
    kept, given_up = (book(client, user, attended.event).json["id"] for _ in range(2))
    client.delete(f"{API}/bookings/{given_up}", headers=user.headers)

    assert [row["id"] for row in _rows(_file(client, attended, "?status=confirmed"))] == [kept]
    assert [row["id"] for row in _rows(_file(client, attended, "?status=cancelled"))] == [given_up]
    assert _file(client, attended, "?status=lost").status_code == 422


def test_a_page_of_a_file_is_refused_by_name(client: FlaskClient, attended: Attended) -> None:
    response = _file(client, attended, "?page=2&page_size=50")

    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [
        ("query", "page"), ("query", "page_size")
    ]  # fmt: skip


def test_the_page_that_a_form_fills_in_unasked_is_no_page_of_a_file(
    client: FlaskClient, attended: Attended, database: sa.Engine
) -> None:
    add_bookings(database, attended, DEFAULT_PAGE_SIZE + 1)

    file = _file(client, attended, f"?page=1&page_size={DEFAULT_PAGE_SIZE}")

    assert len(_rows(file)) == DEFAULT_PAGE_SIZE + 1


def test_over_http_1_0_where_no_end_tells_a_whole_file_from_half_of_one_it_is_refused(
    client: FlaskClient, attended: Attended
) -> None:
    headers = {**attended.owner.headers, **CSV}
    response = client.get(attended.url, headers=headers, environ_overrides={"SERVER_PROTOCOL": "HTTP/1.0"})

    assert (response.status_code, response.json["code"]) == (505, "http-version-not-supported")


@pytest.mark.parametrize(
    ("make", "status"), [(make_user, 403), (make_organizer, 403)], ids=["a user", "another organizer"]
)
def test_who_may_not_see_the_list_gets_no_file(client: FlaskClient, attended: Attended, make: Any, status: int) -> None:
    other: Account = make(client)
    response = client.get(attended.url, headers={**other.headers, **CSV})

    assert (response.status_code, response.mimetype) == (status, "application/problem+json")


@pytest.mark.parametrize("count", [BATCH - 1, BATCH, 2 * BATCH + 1])
def test_each_booking_is_there_once_in_the_order_of_the_list(
    client: FlaskClient, database: sa.Engine, attended: Attended, count: int
) -> None:
    add_bookings(database, attended, count)

    ids = [row["id"] for row in _rows(_file(client, attended))]

    with database.connect() as connection:
        assert ids == list(map(str, connection.scalars(sa.text("SELECT id FROM bookings ORDER BY id"))))
    assert len(ids) == count


# What a spreadsheet would calculate: at the beginning, behind what it may take for a separator, or behind what is not
# seen. 2\uff0b2 is written with full-width characters, which some of them take for the narrow ones.
FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\tx", "\r=1", "\rx", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20A1",
    "\ufe661", "\ufe621", "\ufe631", "\ufe6bA1", " =1", "\u200b=1", "\ufeff=1", "\u202e=1", "\xa0=1", "\u3000\uff1d1",
    '=cmd|" /C calc"!A0', 'x;=HYPERLINK("http://evil.example")', "x; @A1", "x,=1", "x,,-1", "x\t=1", "x\n=1", "x\r\n+1",
    'x";=1', "x;;=1", "==1", ";=1", 'x;"=1+1;y', 'x\t"@A1', 'x; "=1', "\ufff9=1", "\U000e0020=1",
]  # fmt: skip


HARMLESS = ["Anne-Marie O'Neil", "x = y", "1+1", "a;b", "Grace; Ada", "漢字 - é", "'=1", "a, b-c", "x@example.com"]


def _cells(file: str, delimiter: str, *, is_quoted: bool) -> list[str]:
    """How a program may split a file, that minds quotation marks or not."""
    if not is_quoted:
        return re.split(rf"[\r\n{delimiter}]", file)
    return [cell for row in csv.reader(io.StringIO(file, newline=""), delimiter=delimiter) for cell in row]


@pytest.mark.parametrize("is_quoted", [True, False], ids=["quoted", "unquoted"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_no_cell_is_a_formula_however_the_file_is_split(
    client: FlaskClient, database: sa.Engine, attended: Attended, delimiter: str, *, is_quoted: bool
) -> None:
    for text in FORMULAS:
        add_bookings(database, attended, 1, guest_name=text)

    response = _file(client, attended)

    for cell in _cells(response.data.decode("utf-8-sig"), delimiter, is_quoted=is_quoted):
        seen = [c for c in unicodedata.normalize("NFKC", cell) if unicodedata.category(c) not in {"Cf", "Cc", "Zs"}]
        assert not seen or seen[0] not in "=+-@", ascii(cell)
    assert sorted(row["guest_name"].replace("'", "") for row in _rows(response)) == sorted(FORMULAS)


def test_what_is_no_formula_stays_as_it_is(client: FlaskClient, database: sa.Engine, attended: Attended) -> None:
    for text in HARMLESS:
        add_bookings(database, attended, 1, guest_name=text)

    assert sorted(row["guest_name"] for row in _rows(_file(client, attended))) == sorted(HARMLESS)


def _peak_bytes(client: FlaskClient, attended: Attended) -> tuple[int, int]:
    """The most memory that Python has while a file is sent, above what it has before, and the size of the file."""
    response = client.get(attended.url, headers={**attended.owner.headers, **CSV}, buffered=False)
    tracemalloc.start()
    try:
        size = sum(map(len, response.response))
        return tracemalloc.get_traced_memory()[1], size
    finally:
        tracemalloc.stop()
        response.close()


def test_a_long_file_takes_no_more_memory_than_a_short_one(
    client: FlaskClient, database: sa.Engine, attended: Attended
) -> None:
    add_bookings(database, attended, 2 * BATCH)
    _peak_bytes(client, attended)  # what is made once
    short, size = _peak_bytes(client, attended)
    add_bookings(database, attended, 8 * BATCH)

    long, grown = _peak_bytes(client, attended)

    assert grown > 4 * size
    assert long < 1.5 * short


def test_what_fails_before_the_first_byte_is_a_problem(
    client: FlaskClient, database: sa.Engine, attended: Attended
) -> None:
    with database.begin() as elsewhere:
        elsewhere.execute(sa.text("ALTER TABLE bookings RENAME TO bookings_away"))
    try:
        response = _file(client, attended)
    finally:
        with database.begin() as elsewhere:
            elsewhere.execute(sa.text("ALTER TABLE bookings_away RENAME TO bookings"))

    assert (response.status_code, response.mimetype) == (500, "application/problem+json")


def test_who_does_not_get_a_turn_in_time_is_told_to_try_again(
    client: FlaskClient, attended: Attended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bookings_api.http.csv.TURN_SECONDS", 0.1)
    with turn:
        response = _file(client, attended)

    assert (response.status_code, response.json["code"]) == (503, "unavailable")
    assert "Retry-After" in response.headers
    assert _rows(_file(client, attended)) == []


def test_head_tells_what_get_would(client: FlaskClient, attended: Attended) -> None:
    response = client.head(attended.url, headers={**attended.owner.headers, **CSV})

    assert (response.status_code, response.mimetype, response.data) == (200, "text/csv", b"")
