"""Listing and creating events."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Event
from tests.factories import API, EVENT, make_event, make_organizer, make_user


def _titles(client: FlaskClient, path: str, **options: Any) -> list[str]:
    response = client.get(f"{API}/events/{path}", **options)
    assert response.status_code == 200, response.text
    return [event["title"] for event in response.json]


def test_a_created_event_has_a_location_and_all_tickets_available(client: FlaskClient) -> None:
    organizer = make_organizer(client)

    response = client.post(f"{API}/events/", headers=organizer.headers, json=EVENT)

    assert response.status_code == 201
    event = response.json
    assert event["organizer_id"] == organizer.id
    assert (event["status"], event["version"]) == ("published", 1)
    assert (event["capacity"], event["tickets_booked"], event["tickets_available"]) == (10, 0, 10)
    assert event["max_tickets_per_booking"] == 10
    assert event["description"] == "Two late quartets.\nDoors open at 19:00."
    assert client.get(response.headers["Location"]).json == event


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, ("Olivia Organizer", None)),
        ({"contact_name": None}, (None, None)),
        ({"contact_name": "Box office", "contact_email": "office@Example.com"}, ("Box office", "office@example.com")),
    ],
    ids=["default", "none", "other"],
)
def test_the_contact_of_an_event_is_its_organizer_unless_given(
    client: FlaskClient, given: dict[str, Any], shown: tuple[str | None, str | None]
) -> None:
    event = make_event(client, make_organizer(client), **given)

    assert (event["contact_name"], event["contact_email"]) == shown


def test_a_time_with_an_offset_is_stored_as_the_same_instant(client: FlaskClient) -> None:
    event = make_event(client, starts_at="2099-06-19T19:30:00+02:00")

    assert datetime.fromisoformat(event["starts_at"]) == datetime(2099, 6, 19, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2099-03-29T02:30:00+01:00", "2099-03-29T01:30:00+00:00"),
        ("2099-10-25T02:30:00+02:00", "2099-10-25T00:30:00+00:00"),
        ("2099-10-25T02:30:00+01:00", "2099-10-25T01:30:00+00:00"),
    ],
    ids=["gap", "fold, first", "fold, second"],
)
def test_the_offset_resolves_times_in_dst_gaps_and_folds(client: FlaskClient, given: str, stored: str) -> None:
    event = make_event(client, starts_at=given, ends_at="2099-12-01T00:00:00Z", timezone="Europe/Berlin")

    assert event["starts_at"] == stored


def test_only_organizers_can_create_events(client: FlaskClient) -> None:
    for headers, expected in (({}, (401, "unauthenticated")), (make_user(client).headers, (403, "permission-denied"))):
        response = client.post(f"{API}/events/", headers=headers, json=EVENT)

        assert (response.status_code, response.json["code"]) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "x" * 201),
        ("title", "two\nlines"),
        ("title", None),
        ("description", "x" * 10_001),
        ("description", "bell \x07"),
        ("location", " "),
        ("timezone", "Mars/Olympus"),
        ("timezone", "localtime"),
        ("timezone", "Factory"),
        ("timezone", "../etc/passwd"),
        ("timezone", ""),
        ("starts_at", "2099-06-19T19:30:00"),
        ("starts_at", "2020-06-19T19:30:00Z"),
        ("starts_at", "9999-12-31T23:59:59-12:00"),
        ("starts_at", "0001-01-01T00:00:00+14:00"),
        ("starts_at", "2200-01-01T00:00:00Z"),
        ("starts_at", "tomorrow"),
        ("starts_at", 4085919000),
        ("ends_at", "2099-06-19T19:30:00+02:00"),
        ("capacity", 0),
        ("capacity", 1_000_001),
        ("capacity", 2**63),
        ("capacity", "10"),
        ("capacity", 5.9),
        ("max_tickets_per_booking", 0),
        ("max_tickets_per_booking", 1001),
        ("status", "cancelled"),
        ("status", "Published"),
        ("booking_opens_at", "soon"),
        ("organizer_id", "00000000-0000-0000-0000-000000000000"),
        ("tickets_booked", 5),
        ("version", 7),
    ],
)
def test_an_invalid_field_is_named(client: FlaskClient, field: str, value: Any) -> None:
    response = client.post(f"{API}/events/", headers=make_organizer(client).headers, json={**EVENT, field: value})

    assert (response.status_code, response.json["code"]) == (422, "invalid-input")
    assert [error["field"] for error in response.json["errors"]] == [field]


def test_a_booking_window_cannot_close_before_it_opens(client: FlaskClient) -> None:
    window = {"booking_opens_at": "2099-02-01T00:00:00Z", "booking_closes_at": "2099-01-01T00:00:00Z"}

    response = client.post(f"{API}/events/", headers=make_organizer(client).headers, json={**EVENT, **window})

    assert [error["field"] for error in response.json["errors"]] == ["booking_closes_at"]


def test_the_list_shows_upcoming_published_events_in_order_of_start(client: FlaskClient, database: sa.Engine) -> None:
    organizer = make_organizer(client)
    make_event(client, organizer, title="later", starts_at="2099-03-01T10:00:00Z")
    make_event(client, organizer, title="sooner", starts_at="2099-02-01T10:00:00Z")
    make_event(client, organizer, title="draft", status="draft")
    changes: dict[str, dict[str, Any]] = {
        "running": {"starts_at": datetime.now(UTC) - timedelta(days=1)},
        "ended": {"starts_at": datetime.now(UTC) - timedelta(days=2), "ends_at": datetime.now(UTC)},
        "cancelled": {"status": "cancelled"},
        "deleted": {"deleted_at": datetime.now(UTC)},
    }
    for title, change in changes.items():
        make_event(client, organizer, title=title)
        with database.begin() as connection:
            connection.execute(sa.update(Event).where(Event.title == title).values(change))

    assert _titles(client, "") == ["running", "sooner", "later"]
    assert _titles(client, "all") == ["ended", "running", "sooner", "later", "cancelled"]


def test_the_full_list_includes_only_the_callers_own_drafts(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    make_event(client, organizer, title="mine", status="draft")
    make_event(client, title="another's", status="draft")

    assert _titles(client, "all", headers=organizer.headers) == ["mine"]
    assert _titles(client, "all", headers=make_user(client).headers) == []
    assert _titles(client, "all") == []


def test_an_invalid_token_is_refused_even_where_login_is_optional(client: FlaskClient) -> None:
    for path in ("all", make_event(client)["id"]):
        assert client.get(f"{API}/events/{path}", headers={"Authorization": "Bearer x"}).status_code == 401


def test_only_the_owner_can_see_a_draft(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    url = f"{API}/events/{make_event(client, organizer, status='draft')['id']}"

    assert client.get(url, headers=organizer.headers).status_code == 200
    for headers in ({}, make_organizer(client).headers):
        response = client.get(url, headers=headers)
        assert (response.status_code, response.json["code"]) == (404, "event-not-found")


def test_a_page_describes_its_position_in_x_pagination(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    for hour in range(3):
        make_event(client, organizer, title=str(hour), starts_at=f"2099-02-01T1{hour}:00:00Z")

    response = client.get(f"{API}/events/?page=2&page_size=2")

    assert [event["title"] for event in response.json] == ["2"]
    assert json.loads(response.headers["X-Pagination"]) == {
        "total": 3, "total_pages": 2, "first_page": 1, "last_page": 2, "page": 2, "previous_page": 1,
    }  # fmt: skip


def test_a_page_after_the_last_is_empty(client: FlaskClient) -> None:
    response = client.get(f"{API}/events/?page=9")

    assert (response.status_code, response.json) == (200, [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=10001", "page"),
        ("page=x", "page"),
        ("page_size=0", "page_size"),
        ("page_size=101", "page_size"),
        ("color=red", "color"),
    ],
)
def test_an_invalid_query_parameter_is_named(client: FlaskClient, query: str, field: str) -> None:
    response = client.get(f"{API}/events/?{query}")

    assert response.status_code == 422
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [("query", field)]


def test_a_page_has_20_events_by_default_and_up_to_100(client: FlaskClient, database: sa.Engine) -> None:
    make_event(client)
    with database.begin() as connection:
        columns = ", ".join(column.name for column in Event.__table__.columns if column.name != "id")
        copies = f"SELECT gen_random_uuid(), {columns} FROM events, generate_series(1, 24)"
        connection.execute(sa.text(f"INSERT INTO events (id, {columns}) {copies}"))

    assert len(_titles(client, "")) == 20
    assert len(_titles(client, "?page_size=100")) == 25


@pytest.mark.parametrize("event_id", ["0", "x", "00000000-0000-0000-0000-000000000000", "1" * 500, "%00"])
def test_an_unknown_event_is_not_found(client: FlaskClient, event_id: str) -> None:
    response = client.get(f"{API}/events/{event_id}")

    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("description", "listed"),
    [
        ("", ""),
        ("word " * 39 + "four!", "word " * 39 + "four!"),
        ("word " * 39 + "five!!", "word " * 38 + "word…"),
        ("word " * 100, "word " * 39 + "word…"),
        ("First.\n\n" + "word " * 100, "First.\n\n" + "word " * 37 + "word…"),
        ("漢" * 201, "漢" * 199 + "…"),
        ("a " + "漢" * 201, "a " + "漢" * 197 + "…"),
    ],
)
def test_lists_shorten_long_descriptions_between_words(client: FlaskClient, description: str, listed: str) -> None:
    event = make_event(client, description=description)

    for path in ("", "all"):
        assert [item["description"] for item in client.get(f"{API}/events/{path}").json] == [listed]
    assert client.get(f"{API}/events/{event['id']}").json["description"] == description.strip()


def test_a_page_of_the_longest_events_is_small(client: FlaskClient, database: sa.Engine) -> None:
    make_event(client, title="漢" * 200, location="漢" * 200, description="漢字 " * 3333)
    with database.begin() as connection:
        columns = (
            "organization_id, organizer_id, title, description, location, timezone, starts_at, ends_at, capacity,"
            " status, version"
        )
        connection.execute(
            sa.text(
                f"INSERT INTO events (id, {columns}) SELECT gen_random_uuid(), {columns} FROM events,"
                " generate_series(1, 99)"
            )
        )

    page = client.get(f"{API}/events/?page_size=100")

    assert len(page.json or []) == 100
    assert len(page.data) < 300_000
