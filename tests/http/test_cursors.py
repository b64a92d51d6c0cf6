"""Lists read with `after` miss and repeat nothing while rows come and go."""

from base64 import urlsafe_b64encode
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from httpx import Response
from werkzeug.test import TestResponse

from bookings_api.http.pagination import MAX_LINK_LENGTH
from bookings_api.models import EventSort
from tests.factories import API, Account, book, make_event, make_organizer, make_user
from tests.http.attendee_list import add_bookings, make_attendee_list

EVENTS = f"{API}/events/"


def _next(response: TestResponse) -> str | None:
    assert response.status_code == 200, response.text
    assert "X-Pagination" not in response.headers
    links = Response(200, headers={"Link": response.headers.get("Link", "")}).links
    assert links.keys() <= {"next"}
    return links["next"]["url"] if links else None


def _cursor(url: str | None) -> str:
    assert url
    return parse_qs(urlsplit(url).query)["after"][0]


def _read_all(client: FlaskClient, url: str, account: Account) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    following: str | None = url + ("&" if "?" in url else "?") + "after="
    while following:
        response = client.get(following, headers=account.headers)
        items += response.json or []
        following = _next(response)
    return items


def test_no_attendee_is_missed_or_repeated_while_guests_cancel_and_book(
    client: FlaskClient, database: sa.Engine
) -> None:
    attendees = make_attendee_list(client)
    add_bookings(database, attendees, 36)
    with database.connect() as connection:
        guests = set(map(str, connection.scalars(sa.text("SELECT id FROM bookings"))))
    url: str | None = f"{attendees.url}?status=confirmed&page_size=5&after="
    seen: list[str] = []
    while url:
        response = client.get(url, headers=attendees.owner.headers)
        seen += [booking["id"] for booking in response.json]
        url = _next(response)
        with database.begin() as connection:
            connection.execute(
                sa.text(
                    "UPDATE bookings SET status = 'cancelled', cancelled_at = now()"
                    " WHERE id = ANY(CAST(:ids AS uuid[]))"
                ),
                {"ids": seen[-3:]},
            )
        book(client, attendees.owner, attendees.event)

    assert set(seen) >= guests
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("sort", EventSort)
def test_every_order_of_events_can_be_read_completely(client: FlaskClient, sort: EventSort) -> None:
    organizer = make_organizer(client)
    for title, day in [("Élan", 3), ("elan", 2), ("Zebra", 2), ("ÄRZTE", 2), ("a" * 200, 1), ("a" * 199 + "b", 1)]:
        times = {"starts_at": f"2099-01-0{day}T10:00:00.000001Z", "ends_at": f"2099-01-0{day}T12:00:00Z"}
        make_event(client, organizer, title=title, **times)

    for path in ("", "all"):
        listed = client.get(f"{EVENTS}{path}?sort={sort.value}").json or []
        assert len(listed) == 6
        for query in ("", "&q=konzerthaus", "&min_available=1"):
            assert _read_all(client, f"{EVENTS}{path}?page_size=2&sort={sort.value}{query}", organizer) == listed


def test_bookings_emails_and_users_can_be_read_completely(client: FlaskClient) -> None:
    organizer, user = make_organizer(client), make_user(client)
    event = make_event(client, organizer)
    bookings = [book(client, user, event).json for _ in range(5)]
    for _ in range(3):
        client.post(f"{API}/bookings/{bookings[0]['id']}/emails", headers=user.headers)
        make_user(client)
    for path, account, count in [
        ("/bookings/", user, 5),
        (f"/events/{event['id']}/bookings", organizer, 5),
        (f"/bookings/{bookings[0]['id']}/emails", user, 4),
        ("/users/", organizer, 5),
    ]:
        listed = client.get(API + path, headers=account.headers).json or []

        assert len(listed) == count
        expected = sorted(listed, key=itemgetter("id")) if path == "/users/" else listed
        assert _read_all(client, f"{API}{path}?page_size=2", account) == expected


@pytest.mark.parametrize("path", ["", "all"])
def test_an_event_that_moves_while_events_are_read_is_not_missed(client: FlaskClient, path: str) -> None:
    organizer = make_organizer(client)
    events = [make_event(client, organizer) for _ in range(3)]
    first: Any = client.get(f"{EVENTS}{path}?page_size=1&after=")
    earlier = {"starts_at": "2090-01-01T10:00:00Z", "title": "A Matinee"}
    moved = client.patch(f"{EVENTS}{events[2]['id']}", headers=organizer.headers, json=earlier)

    rest = client.get(_next(first)).json or []
    rest += client.get(_next(client.get(_next(first)))).json or []

    assert moved.status_code == 200
    assert [event["id"] for event in [*first.json, *rest]] == [event["id"] for event in events]


def test_an_account_whose_email_changes_while_accounts_are_read_is_not_missed(
    client: FlaskClient, database: sa.Engine
) -> None:
    organizer = make_organizer(client)
    users = [organizer, *(make_user(client) for _ in range(2))]
    first: Any = client.get(f"{API}/users/?page_size=2&after=", headers=organizer.headers)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE users SET email = '0' || email WHERE id = :id"), {"id": users[2].id})

    rest: Any = client.get(_next(first), headers=organizer.headers)

    assert [user["id"] for user in [*first.json, *rest.json]] == [user.id for user in users]


def test_a_cursor_outlives_its_item_and_changes_before_it(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    events = [make_event(client, organizer, title=f"Trio {number}") for number in range(4)]
    url = _next(client.get(f"{EVENTS}?sort=title&page_size=2&after="))
    client.delete(f"{EVENTS}{events[1]['id']}", headers=organizer.headers)
    make_event(client, organizer, title="Solo")

    assert [event["title"] for event in client.get(url).json] == ["Trio 2", "Trio 3"]


def _encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "é", "a" * 2001, "!!!!", "AAAA", "_w",
        _encoded("starts_at"), _encoded("starts_at\0yesterday\0" + "0" * 32),
        _encoded("starts_at\0002099-01-01T00:00:00\0" + "0" * 32), _encoded("starts_at\0002099-01-01T00:00:00Z\0x"),
        _encoded("starts_at\0002099-01-01T00:00:00Z\0" + "0" * 32 + "\0x"),
        _encoded("starts_at\0002099-01-01T00:00:00+16:00\0" + "0" * 32),
    ],
)  # fmt: skip
def test_an_invalid_cursor_is_named(client: FlaskClient, cursor: str) -> None:
    response = client.get(EVENTS, query_string={"after": cursor, "sort": "starts_at"})

    assert response.status_code == 422
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [("query", "after")]


def test_a_cursor_of_another_order_is_refused(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    for _ in range(2):
        make_event(client, organizer)
    cursor = _cursor(_next(client.get(f"{EVENTS}?page_size=1&after=")))

    assert client.get(EVENTS, query_string={"after": cursor}).status_code == 200
    assert client.get(EVENTS, query_string={"after": cursor, "sort": "-starts_at"}).status_code == 422


def test_a_cursor_cannot_be_combined_with_a_page(client: FlaskClient) -> None:
    response = client.get(f"{EVENTS}?page=1&after=")

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == ["page"]


def test_long_titles_and_searches_still_have_a_link(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    title = "\N{SQUARE RAD OVER S SQUARED}" * 100 + "\N{PARTY POPPER}" * 100
    for _ in range(2):
        make_event(client, organizer, title=title)
    query = {"q": "\N{PARTY POPPER}" * 100, "sort": "title", "page_size": 1, "after": ""}

    url = _next(client.get(EVENTS, query_string=query))

    assert url
    assert len(url) < MAX_LINK_LENGTH
    assert client.get(url).json != []
