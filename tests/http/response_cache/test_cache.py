"""Answers that are kept ready are never older than the last change of an event."""

import time
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.http.response_cache.cache import MAX_ANSWERS, SECONDS, ResponseCache
from bookings_api.models import utcnow
from tests.factories import API, EVENT, book, make_event, make_user
from tests.polling import wait_until


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


def _is_given_again(client: FlaskClient, address: str, database: sa.Engine) -> bool:
    """Whether an answer comes although it is not true any more, after a change that nobody was allowed to count."""
    first = client.get(address)
    with database.begin() as elsewhere:
        for statement in (
            "ALTER TABLE events DISABLE TRIGGER events_revised",
            "UPDATE events SET title = title || '!'",
            "ALTER TABLE events ENABLE TRIGGER events_revised",
        ):
            elsewhere.execute(sa.text(statement))
    second = client.get(address)
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    without_id = [[pair for pair in answer.headers if pair[0] != "X-Request-ID"] for answer in (first, second)]
    return second.data == first.data and without_id[0] == without_id[1]


def test_as_long_as_no_event_changes_an_answer_is_made_once_whatever_else_is_written(
    client: FlaskClient, database: sa.Engine
) -> None:
    addresses = _addresses(make_event(client))
    with database.begin() as elsewhere:
        elsewhere.execute(sa.text("UPDATE users SET name = 'Somebody'"))
        for address in addresses:
            # unless the machine takes a second for it, after which answers are made anew
            wait_until(partial(_is_given_again, client, address, database), seconds=60)
    with database.begin() as elsewhere:
        elsewhere.execute(sa.text("UPDATE events SET title = 'Changed'"))
    for address in addresses:
        assert b"Changed" in client.get(address).data


def test_a_kept_answer_is_logged_as_any_other(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    address = _addresses(make_event(client))[-1]
    caplog.clear()

    answers = [client.get(address, headers={"X-Request-ID": f"number-{number}"}) for number in range(3)]

    lines = [vars(record) for record in caplog.records if record.name == "bookings_api.access"]
    assert [line["status"] for line in lines] == [200, 200, 200]
    assert {line["route"] for line in lines} == {"/api/v1/events/<uuid:event_id>"}
    assert [answer.headers["X-Request-ID"] for answer in answers] == ["number-0", "number-1", "number-2"]


def test_an_answer_for_one_origin_or_over_tls_is_not_given_to_another_client(client: FlaskClient) -> None:
    address = _addresses(make_event(client))[-1]
    for _ in range(2):
        assert "Strict-Transport-Security" not in client.get(address).headers
        assert "Strict-Transport-Security" in client.get(address, base_url="https://localhost").headers


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

    wait_until(lambda: client.get(f"{API}/events/").json == [], seconds=1 + 2 * SECONDS + 1)
    assert time.time() > begins.timestamp()


def test_whoever_asks_for_ever_other_addresses_fills_no_memory(app: Flask, client: FlaskClient) -> None:
    make_event(client)
    for number in range(1, MAX_ANSWERS + 20):
        assert client.get(f"{API}/events/?page={number}").status_code == 200

    assert isinstance(app.wsgi_app, ResponseCache)
    assert 0 < len(app.wsgi_app._answers) <= MAX_ANSWERS  # noqa: SLF001 - nothing else shows how many there are
