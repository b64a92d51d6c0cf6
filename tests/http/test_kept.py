"""Answers that are kept ready are never older than the last commit."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.extensions import db
from bookings_api.http.kept import SECONDS
from bookings_api.models import utcnow
from tests.factories import API, EVENT, book, make_event, make_user
from tests.polling import wait_until


@pytest.fixture
def statements(context: None) -> Iterator[list[str]]:
    """What PostgreSQL is asked."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(db.engine, "before_cursor_execute", note)


def _addresses(event: dict[str, Any]) -> list[str]:
    return [f"{API}/events/", f"{API}/events/all?page_size=5", f"{API}/events/{event['id']}"]


def test_what_was_committed_is_seen_at_once(client: FlaskClient, database: sa.Engine) -> None:
    event, user = make_event(client), make_user(client)

    def seen() -> set[tuple[str, int]]:
        answers = [client.get(address).json for address in _addresses(event) for _ in range(2)]
        events = [answer[0] if isinstance(answer, list) else answer for answer in answers]
        return {(event["title"], event["tickets_available"]) for event in events}

    assert seen() == {(EVENT["title"], 10)}
    book(client, user, event)
    assert seen() == {(EVENT["title"], 9)}
    with database.begin() as elsewhere:
        elsewhere.execute(sa.text("UPDATE events SET title = 'Another'"))
        assert seen() == {(EVENT["title"], 9)}
    assert seen() == {("Another", 9)}


def test_as_long_as_nothing_is_committed_an_answer_is_made_once(client: FlaskClient, statements: list[str]) -> None:
    for address in _addresses(make_event(client)):
        first = client.get(address)

        def is_kept(address: str = address) -> bool:
            statements.clear()
            client.get(address)
            return statements == ["EXECUTE snapshot"]

        wait_until(is_kept, seconds=60)  # other tests commit to the same server, which has one snapshot for all
        second = client.get(address)
        assert second.json == first.json
        for name in ("ETag", "X-Pagination", "Content-Type"):
            assert second.headers.get(name) == first.headers.get(name)
        assert second.headers["X-Request-ID"] != first.headers["X-Request-ID"]


def test_a_client_that_has_it_is_not_sent_it_again(client: FlaskClient) -> None:
    address = _addresses(make_event(client))[-1]
    tag = [client.get(address).headers["ETag"] for _ in range(2)][-1]

    unchanged = client.get(address, headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert client.get(address, headers={"If-None-Match": '"another"'}).status_code == 200


def test_an_event_that_begins_leaves_the_list_though_nothing_is_committed(client: FlaskClient) -> None:
    begins = utcnow() + timedelta(seconds=1)
    make_event(client, starts_at=begins.isoformat())
    assert client.get(f"{API}/events/").json != []

    wait_until(lambda: client.get(f"{API}/events/").json == [], seconds=1 + SECONDS + 1)
    assert time.time() > begins.timestamp()
