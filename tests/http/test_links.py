"""The `Link` header of a list: links lead through all pages, and no request can forge them."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from httpx import Response
from werkzeug.test import TestResponse

from bookings_api.http.pagination import MAX_LINK_LENGTH
from bookings_api.http.schemas import MAX_PAGE
from tests.factories import API, add_to_team, book, make_event, make_key, make_organizer, make_user
from tests.permissions import documented_operations

EVENTS = f"{API}/events/"


def _links(response: TestResponse) -> dict[str | None, str]:
    """URLs by relation, as parsed by httpx."""
    parsed = Response(200, headers={"Link": response.headers["Link"]}).links if "Link" in response.headers else {}
    return {rel: link["url"] for rel, link in parsed.items()}


def _pages(response: TestResponse) -> dict[str | None, int]:
    return {rel: int(dict(parse_qsl(urlsplit(url).query))["page"]) for rel, url in _links(response).items()}


@pytest.fixture
def events(client: FlaskClient) -> list[dict[str, Any]]:
    organizer = make_organizer(client)
    return [make_event(client, organizer, title=f"Trio {number} & more") for number in range(5)]


def test_following_next_links_returns_each_item_once(client: FlaskClient, events: list[dict[str, Any]]) -> None:
    seen, url = [], f"{EVENTS}?page_size=2&sort=title"
    while url:
        response = client.get(url)
        seen += [event["id"] for event in response.json]
        url = _links(response).get("next", "")

    assert seen == [event["id"] for event in events]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (1, {"next": 2, "last": 3}),
        (2, {"first": 1, "prev": 1, "next": 3, "last": 3}),
        (3, {"first": 1, "prev": 2}),
        (4, {"first": 1, "prev": 3}),
        (9, {"first": 1, "prev": 3}),
    ],
)
def test_a_page_links_to_its_neighbors_and_both_ends(client: FlaskClient, page: int, expected: dict[str, int]) -> None:
    assert _pages(client.get(f"{EVENTS}?page={page}&page_size=2")) == expected


@pytest.mark.usefixtures("events")
def test_a_list_of_one_page_has_no_links(client: FlaskClient) -> None:
    assert "Link" not in client.get(EVENTS).headers
    assert "Link" not in client.get(f"{EVENTS}?q=nothing").headers


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    "text", ["trio", "o 1", 'trio&page=7>; rel="next", <http://evil.example/', "%0d%0aX: y", "é+…"]
)
def test_links_keep_the_filters_and_escape_them(client: FlaskClient, text: str) -> None:
    query = {"q": text, "min_available": "1", "page_size": "1", "page": "2"}

    for _ in range(2):  # computed, then cached
        response = client.get(EVENTS, query_string=query)
        links = _links(response)
        assert links.keys() <= {"first", "prev", "next", "last"}
        assert links
        for rel, url in links.items():
            assert dict(parse_qsl(urlsplit(url).query)) == {**query, "page": str(_pages(response)[rel])}
        assert response.headers["Link"].isascii()


@pytest.mark.usefixtures("events")
def test_request_headers_cannot_change_where_a_link_leads(client: FlaskClient) -> None:
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Prefix": "//evil.example"}

    for headers in (forged, {}):
        response = client.get(EVENTS, query_string={"page_size": 4}, headers=headers)
        assert response.headers["Link"] == (
            f'<{EVENTS}?page_size=4&page=2>; rel="next", <{EVENTS}?page_size=4&page=2>; rel="last"'
        )


def test_links_never_exceed_the_maximum_page(client: FlaskClient, database: sa.Engine) -> None:
    account = make_organizer(client)
    with database.begin() as connection:
        connection.execute(
            sa.text(
                "WITH people AS (INSERT INTO users (id, email)"
                " SELECT gen_random_uuid(), n || '@x.test' FROM generate_series(1, :n) n RETURNING id)"
                " INSERT INTO memberships (organization_id, user_id, role)"
                " SELECT organizations.id, people.id, 'user' FROM organizations, people"
            ),
            {"n": MAX_PAGE},
        )

    def pages(number: int) -> Any:
        return _pages(client.get(f"{API}/users/?page_size=1&page={number}", headers=account.headers))

    assert pages(MAX_PAGE) == {"first": 1, "prev": MAX_PAGE - 1}
    assert pages(MAX_PAGE - 1) == {"first": 1, "prev": MAX_PAGE - 2, "next": MAX_PAGE}


@pytest.mark.usefixtures("events")
def test_a_link_header_too_long_for_proxies_is_omitted(client: FlaskClient) -> None:
    long = client.get(EVENTS, query_string={"q": "\N{PARTY POPPER}" * 100, "page": 2})

    assert "Link" not in long.headers
    assert len(client.get(EVENTS, query_string={"q": "o" * 100, "page": 2}).headers["Link"]) < MAX_LINK_LENGTH


def test_every_list_sends_and_documents_both_pagination_headers(client: FlaskClient) -> None:
    organizer, guest = make_organizer(client), make_user(client)
    event = make_event(client, organizer)
    make_event(client, organizer)
    add_to_team(client, organizer, event, guest)
    bookings = [book(client, account, event).json for account in (guest, organizer, organizer)]
    [key, _] = [make_key(client, organizer) for _ in range(2)]
    ids = {"event_id": event["id"], "booking_id": bookings[0]["id"], "organization_id": key.organization_id}
    lists = 0
    for name, (method, path, operation) in documented_operations(client).items():
        parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
        if "page_size" in parameters:
            url = f"{path.format_map(ids)}?page=2&page_size=1"
            response = client.open(url, method=method, headers=organizer.headers)
            assert {"first", "prev"} <= _links(response).keys(), (name, response.text)
            assert "X-Pagination" in response.headers, name
            assert {"X-Pagination", "Link"} <= operation["responses"]["200"]["headers"].keys(), name
            lists += 1
    assert lists == 13
