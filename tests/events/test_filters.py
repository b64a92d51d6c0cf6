"""Filtering and sorting the lists of events, and the indexes that serve this."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.database.listing import Listing
from bookings_api.events.queries import all_events, upcoming_events
from bookings_api.models import EventSort
from tests.factories import API, Account, book, make_event, make_organizer, make_user
from tests.sql import plan_of


@pytest.fixture
def organizer(client: FlaskClient) -> Account:
    """The organizer of three events, of which `b` has two tickets left."""
    organizer = make_organizer(client)
    for title, month, location in (("b", 3, "Berlin"), ("c", 2, "50% off_Street"), ("a", 1, "Basel")):
        times = {"starts_at": f"2099-0{month}-01T10:00:00Z", "ends_at": f"2099-0{month}-01T12:00:00Z"}
        event = make_event(client, organizer, title=title, location=location, description=f"{title}-side", **times)
        if title == "b":
            book(client, make_user(client), event, ticket_count=8)
    return organizer


def _titles(client: FlaskClient, query: str) -> str:
    response = client.get(f"{API}/events/?{query}")
    assert response.status_code == 200, response.text
    assert client.get(f"{API}/events/all?{query}").json == response.json
    return "".join(event["title"] for event in response.json)


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("", "acb"),
        ("sort=-starts_at", "bca"),
        ("sort=title", "abc"),
        ("sort=-title", "cba"),
        ("sort=created_at", "bca"),
        ("sort=-created_at", "acb"),
        ("starts_after=2099-02-01T10:00:00Z", "cb"),
        ("starts_before=2099-02-01T10:00:00Z", "a"),
        ("starts_after=2099-01-15T00:00:00%2B02:00&starts_before=2099-02-15T00:00:00Z", "c"),
        ("min_available=3", "ac"),
        ("min_available=2", "acb"),
        ("q=BERLIN", "b"),
        ("q=-side", "acb"),
        ("q=%25", "c"),
        ("q=f_s", "c"),
        ("q=b%25", ""),
        ("q=ba&sort=-title", "a"),
        ("q=%5C", ""),
    ],
)
@pytest.mark.usefixtures("organizer")
def test_events_are_filtered_and_ordered(client: FlaskClient, query: str, titles: str) -> None:
    assert _titles(client, query) == titles


def test_events_are_filtered_by_their_organizer(client: FlaskClient, organizer: Account) -> None:
    make_event(client, title="another's")

    assert _titles(client, f"organizer_id={organizer.id}") == "acb"


@pytest.mark.parametrize(
    "query",
    ["sort=price", "sort=", "min_available=0", "min_available=x", "organizer_id=1", "starts_after=tomorrow",
     "starts_after=2099-01-01", "q=", "q=%00", "q=%E2%80%AE"],
)  # fmt: skip
def test_a_bad_filter_is_named(client: FlaskClient, query: str) -> None:
    response = client.get(f"{API}/events/?{query}")

    assert response.status_code == 422
    assert [(error["in"], error["field"]) for error in response.json["errors"]] == [
        ("query", query.split("=", maxsplit=1)[0])
    ]


def test_a_plus_sign_that_was_not_encoded_is_explained(client: FlaskClient) -> None:
    response = client.get(f"{API}/events/?starts_after=2099-01-15T00:00:00+02:00")

    assert response.status_code == 422
    assert "%2B" in response.json["errors"][0]["detail"]


def test_titles_are_sorted_regardless_of_case_and_accents(client: FlaskClient) -> None:
    in_order = ["Äpfel", "apple tasting", "ÄRZTE", "Élan", "Zebra night"]
    organizer = make_organizer(client)
    for title in ["Zebra night", "apple tasting", "ÄRZTE", "Äpfel", "Élan"]:
        make_event(client, organizer, title=title)

    def titles(sort: str) -> list[str]:
        return [event["title"] for event in client.get(f"{API}/events/?sort={sort}").json]

    assert titles("title") == in_order
    assert titles("-title") == in_order[::-1]


@pytest.mark.parametrize(
    ("q", "finds"),
    [
        ("arzte", True),
        ("ARZTE", True),
        ("Ärzte", True),
        ("A\u0308rzte", True),
        ("strassenfest", True),
        ("Straßenfest", True),
        ("łodz", True),
        ("tee straßen łódź", True),
        ("fest  arz", True),
        ("arzte kino", False),
        ("six five four three two one", True),
        ("three four five seven eight zero", True),  # only the longest five count
        ("three four five seven eight eleven", False),
        ("100%", True),
        ("1\uff05", False),
        ("a_z", False),
        ("\u2216", False),
    ],
)
def test_a_search_finds_all_words_in_any_order_regardless_of_case_and_accents(
    client: FlaskClient, q: str, *, finds: bool
) -> None:
    make_event(
        client,
        title="ÄRZTE: Straßenfest",
        location="Łódź",
        description="Tee 100% one two three four five six seven eight",
    )

    found = client.get(f"{API}/events/", query_string={"q": q})

    assert found.text.count("Straßenfest") == finds


EVENTS = 100_000


@pytest.fixture
def plans(client: FlaskClient, database: sa.Engine) -> Any:
    """Explains a query on 100,000 events of 100 organizers, spread over 200 days, half of them past."""
    make_event(client)
    columns = (
        "organization_id, organizer_id, title, description, location, timezone, starts_at, ends_at, capacity, "
        "tickets_booked, max_tickets_per_booking, status, version, created_at, updated_at"
    )
    with database.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO users (id, email) SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,"
                " n || '@example.com' FROM generate_series(0, 99) AS n"
            )
        )
        connection.execute(
            sa.text(
                f"INSERT INTO events (id, {columns}) SELECT gen_random_uuid(), organization_id,"
                " ('00000000-0000-7000-8000-' || lpad((n % 100)::text, 12, '0'))::uuid, md5(n::text), description,"
                " md5((n * 7)::text), timezone, now() + (n - :half) * interval '3 minutes',"
                " now() + (n - :half) * interval '3 minutes' + interval '2 hours', 100, n % 101,"
                " 10, 'published', 1, now() - n * interval '1 second', now()"
                " FROM events, generate_series(1, :count) AS n"
            ),
            {"half": EVENTS // 2, "count": EVENTS},
        )
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE events"))

    def explain(listing: Listing, *position: Any) -> str:
        statement = listing.with_values()
        if position:
            parameters = [parameter.key for parameter in listing.order.parameters]
            statement = statement.where(listing.order.is_after()).params(dict(zip(parameters, position, strict=True)))
        return plan_of(database, statement.limit(20))

    return explain


@pytest.mark.long
def test_indexes_serve_every_filter_and_order_of_100_000_events(plans: Any, client: FlaskClient) -> None:
    event = client.get(f"{API}/events/all?page_size=1").json[0]
    starts_at, ends_at = (datetime.fromisoformat(event[name]) for name in ("starts_at", "ends_at"))
    used = {
        "upcoming": plans(upcoming_events()),
        "some left": plans(upcoming_events(min_available=50)),
        "words": plans(upcoming_events(q="c4ca4238a0")),
        "common words": plans(upcoming_events(q="an c4ca4238a0 late", sort=EventSort.TITLE)),
        "span": plans(all_events(viewer=None, starts_after=starts_at, starts_before=ends_at)),
        "organizer": plans(all_events(viewer=None, organizer_id=UUID("00000000-0000-7000-8000-000000000042"))),
        **{sort.value: plans(all_events(viewer=None, sort=sort)) for sort in EventSort},
    }

    for name, plan in used.items():
        assert "Seq Scan" not in plan, f"{name}:\n{plan}"
    indexes = {name: set(re.findall(r"ix_events_\w+", plan)) for name, plan in used.items()}
    assert indexes["words"] == indexes["common words"] == {"ix_events_search"}
    assert indexes["organizer"] == {"ix_events_organizer_id_starts_at"}
    assert indexes["upcoming"] == indexes["some left"] == indexes["span"] == {"ix_events_listed"}
    assert indexes["starts_at"] == indexes["-starts_at"] == {"ix_events_listed"}
    assert indexes["title"] == indexes["-title"] == {"ix_events_title"}
    assert indexes["created_at"] == indexes["-created_at"] == {"ix_events_created_at"}


@pytest.mark.long
def test_indexes_find_the_position_of_a_cursor_among_100_000_events(plans: Any, client: FlaskClient) -> None:
    event = client.get(f"{API}/events/all?page_size=1").json[0]
    moment, event_id = datetime.fromisoformat(event["starts_at"]), UUID(event["id"])
    for sort in EventSort:
        key = "m" if sort in {EventSort.TITLE, EventSort.TITLE_DESC} else moment

        plan = plans(all_events(viewer=None, sort=sort), key, event_id)

        assert re.search(r"Index Scan .*\n +Index Cond: \(ROW\(", plan), f"{sort.value}:\n{plan}"
        assert "Sort" not in plan, f"{sort.value}:\n{plan}"
