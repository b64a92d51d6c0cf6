"""Which changes appear in cached responses immediately, and which within a second."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.http.response_cache.cache import MAX_RESPONSES, PAGE_SECONDS, ResponseCache
from bookings_api.models import Event
from tests.factories import API, EVENT, book, make_event, make_organizer, make_user
from tests.polling import wait_until
from tests.times import utcnow

LISTS = (f"{API}/events/", f"{API}/events/all?page_size=5")


def _addresses(event: dict[str, Any]) -> list[str]:
    return [*LISTS, f"{API}/events/{event['id']}"]


def _seen(client: FlaskClient, address: str) -> tuple[str, int]:
    """Return the event's title and available tickets from the second of two responses, which may be cached."""
    response = [client.get(address).json for _ in range(2)][-1]
    event = response[0] if isinstance(response, list) else response
    return event["title"], event["tickets_available"]


def _version(database: sa.Engine) -> int:
    with database.connect() as connection:
        return int(connection.scalar(sa.text("SELECT version FROM event_catalog")) or 0)


def test_a_changed_event_is_shown_everywhere_as_soon_as_the_change_is_committed(
    client: FlaskClient, database: sa.Engine
) -> None:
    addresses = _addresses(make_event(client))
    assert {_seen(client, address) for address in addresses} == {(EVENT["title"], 10)}

    with database.begin() as elsewhere:
        elsewhere.execute(sa.text("UPDATE events SET title = 'Another'"))
        assert {_seen(client, address) for address in addresses} == {(EVENT["title"], 10)}
    assert {_seen(client, address) for address in addresses} == {("Another", 10)}


def test_lists_show_new_and_deleted_events_immediately(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    for address in LISTS:
        assert [client.get(address).json for _ in range(2)] == [[], []]
        event = make_event(client, organizer)
        assert [[listed["id"] for listed in client.get(address).json] for _ in range(2)] == [[event["id"]]] * 2
        client.delete(f"{API}/events/{event['id']}", headers=organizer.headers)
        assert client.get(address).json == []


def test_a_single_event_shows_each_booking_immediately(client: FlaskClient) -> None:
    event, user = make_event(client), make_user(client)
    address = f"{API}/events/{event['id']}"
    for left in range(9, 5, -1):
        book(client, user, event)
        assert _seen(client, address) == (EVENT["title"], left)


def test_lists_show_a_booking_within_a_second(client: FlaskClient) -> None:
    event, user = make_event(client), make_user(client)
    for address in LISTS:
        client.get(address)
    book(client, user, event)
    booked_at = time.monotonic()
    for address in LISTS:
        wait_until(lambda address=address: _seen(client, address) == (EVENT["title"], 9), seconds=10)  # type: ignore[misc] # mypy cannot infer the type of a default
    assert client.get(f"{API}/events/?min_available=10").json == []
    assert time.monotonic() - booked_at < PAGE_SECONDS + 1  # which the requests of a busy machine may take


def test_a_deleted_event_returns_404_immediately(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    address = f"{API}/events/{make_event(client, organizer)['id']}"
    assert [client.get(address).status_code for _ in range(2)] == [200, 200]

    client.delete(address, headers=organizer.headers)

    assert [client.get(address).status_code for _ in range(2)] == [404, 404]


def test_a_booking_neither_counts_as_a_change_nor_waits_for_one(client: FlaskClient, database: sa.Engine) -> None:
    event, user = make_event(client), make_user(client)
    version = _version(database)
    with database.begin() as elsewhere:
        elsewhere.execute(
            sa.text("UPDATE event_catalog SET version = version")
        )  # locked as by a transaction that commits

        assert book(client, user, event).status_code == 201

    assert _version(database) == version


@pytest.fixture
def two_events(client: FlaskClient) -> tuple[str, str]:
    organizer = make_organizer(client)
    return make_event(client, organizer)["id"], make_event(client, organizer)["id"]


def test_a_transaction_counts_once_and_blocks_no_other_commit(database: sa.Engine, two_events: tuple[str, str]) -> None:
    version, change = _version(database), sa.text("UPDATE events SET title = title || '!' WHERE id = :id")
    with database.begin() as first:
        for event_id in two_events[:1] * 3:
            first.execute(change, {"id": event_id})
        with database.begin() as second:
            second.execute(sa.text("SET LOCAL lock_timeout = '1s'"))
            second.execute(change, {"id": two_events[1]})
        assert _version(database) == version + 1
    assert _version(database) == version + 2


def test_changing_any_column_except_counts_and_updated_at_increments_the_version(database: sa.Engine) -> None:
    not_counted = {"tickets_booked", "tickets_held", "updated_at"}
    with database.connect() as connection:
        columns = connection.scalars(
            sa.text(
                "SELECT event_object_column FROM information_schema.triggered_update_columns"
                " WHERE trigger_name = 'event_catalog_changed'"
            )
        )
        assert {*columns} == {column.name for column in Event.__table__.columns} - not_counted


def _is_reused(client: FlaskClient, address: str, database: sa.Engine) -> bool:
    """Return whether a list is unchanged after a change that bypasses the trigger."""
    first = client.get(address)
    with database.begin() as elsewhere:
        for statement in (
            "ALTER TABLE events DISABLE TRIGGER event_catalog_changed",
            "UPDATE events SET title = title || '!'",
            "ALTER TABLE events ENABLE TRIGGER event_catalog_changed",
        ):
            elsewhere.execute(sa.text(statement))
    second = client.get(address)
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    without_id = [[pair for pair in response.headers if pair[0] != "X-Request-ID"] for response in (first, second)]
    return second.data == first.data and without_id[0] == without_id[1]


def test_only_a_changed_event_prevents_reuse_of_a_page(client: FlaskClient, database: sa.Engine) -> None:
    make_event(client)
    with database.begin() as elsewhere:
        elsewhere.execute(sa.text("UPDATE users SET name = 'Somebody'"))
    for address in LISTS:
        # on a busy machine the page may have expired by then, so try again
        wait_until(partial(_is_reused, client, address, database), seconds=60)
    with database.begin() as elsewhere:
        elsewhere.execute(sa.text("UPDATE events SET title = 'Changed'"))
    for address in LISTS:
        assert b"Changed" in client.get(address).data


def test_a_cached_event_has_the_same_headers_and_body_as_an_uncached_one(client: FlaskClient) -> None:
    event, user = make_event(client), make_user(client)
    address = f"{API}/events/{event['id']}"
    client.get(address)
    book(client, user, event)

    cached = client.get(address)
    not_cached = client.get(f"{address}?")  # the same address with another key
    fresh = client.get(address, query_string={"another": "key"})

    for response in (not_cached, fresh):
        assert response.data == cached.data
        assert {**response.headers, "X-Request-ID": ""} == {**cached.headers, "X-Request-ID": ""}


def test_simultaneous_readers_get_the_same_page(client: FlaskClient, app: Flask) -> None:
    make_event(client)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            time.sleep(PAGE_SECONDS)
            responses = list(pool.map(lambda _: app.test_client().get(LISTS[0]), range(16)))
            assert {response.status_code for response in responses} == {200}
            assert len({response.data for response in responses}) == 1


def test_a_cached_response_is_logged_like_any_other(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    address = _addresses(make_event(client))[-1]
    caplog.clear()

    responses = [client.get(address, headers={"X-Request-ID": f"number-{number}"}) for number in range(3)]

    lines = [vars(record) for record in caplog.records if record.name == "bookings_api.access"]
    assert [line["status"] for line in lines] == [200, 200, 200]
    assert {line["route"] for line in lines} == {"/api/v1/events/<uuid:event_id>"}
    assert [response.headers["X-Request-ID"] for response in responses] == ["number-0", "number-1", "number-2"]


def test_a_response_for_one_origin_or_over_tls_is_not_sent_to_another_client(client: FlaskClient) -> None:
    for address in _addresses(make_event(client)):
        for _ in range(2):
            assert "Strict-Transport-Security" not in client.get(address).headers
            assert "Strict-Transport-Security" in client.get(address, base_url="https://localhost").headers


def test_an_event_the_client_already_has_returns_304(client: FlaskClient) -> None:
    event, user = make_event(client), make_user(client)
    address = f"{API}/events/{event['id']}"
    tag = [client.get(address).headers["ETag"] for _ in range(2)][-1]

    unchanged = client.get(address, headers={"If-None-Match": f"W/{tag}"})

    assert (unchanged.status_code, unchanged.data, unchanged.headers["ETag"]) == (304, b"", tag)
    assert client.get(address, headers={"If-None-Match": '"another"'}).status_code == 200
    book(client, user, event)
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_an_event_that_ends_disappears_from_the_list_without_a_commit(client: FlaskClient) -> None:
    ends = utcnow() + timedelta(seconds=1.5)
    make_event(client, starts_at=(ends - timedelta(seconds=0.5)).isoformat(), ends_at=ends.isoformat())
    assert client.get(LISTS[0]).json != []

    wait_until(lambda: client.get(LISTS[0]).json == [], seconds=1.5 + PAGE_SECONDS + 1)
    assert time.time() > ends.timestamp()


def test_the_number_of_cached_responses_is_bounded(app: Flask, client: FlaskClient) -> None:
    make_event(client)
    for number in range(1, MAX_RESPONSES + 20):
        assert client.get(f"{API}/events/?page={number}").status_code == 200

    assert isinstance(app.wsgi_app, ResponseCache)
    assert 0 < len(app.wsgi_app._responses) <= MAX_RESPONSES  # noqa: SLF001 - the number is not public
