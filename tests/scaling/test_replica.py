"""Lists are read from a real streaming replica and are never older than the request."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from psycopg2 import extensions

from bookings_api.database.engine import REPLICA
from bookings_api.database.replica import READ_SECONDS, UnusableReplica, position_of_primary, replica_of
from bookings_api.database.timeouts import CONNECT_SECONDS
from bookings_api.extensions import db
from tests.factories import API, EVENT, PASSWORD, Account, book, make_event, make_organizer, make_user, new_email
from tests.faults.cluster import hung
from tests.http_client import http_client
from tests.polling import wait_until
from tests.scaling.replica import Pair, Replica
from tests.service import running_server

# Generous, for busy machines: a passing test needs a fraction of it.
PATIENCE_SECONDS = 60

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("app")]


@pytest.fixture(scope="module")
def pair(application: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Pair(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@pytest.fixture
def service(pair: Pair) -> Iterator[Flask]:
    """A new application with a healthy replica."""
    with _on(pair.application(pair.replica.url)) as service:
        wait_until(lambda: _health(service)["replica"] == "ok", seconds=30)
        yield service


@contextmanager
def _on(service: Flask) -> Iterator[Flask]:
    yield service
    with service.app_context():
        for engine in db.engines.values():
            engine.dispose()


@contextmanager
def _counted(service: Flask) -> Iterator[Counter[str]]:
    """Count the list pages that each server reads in this block."""
    pages: Counter[str] = Counter()

    def count_pages_of(server: str) -> Callable[..., None]:
        class CountingCursor(extensions.cursor):
            def execute(self, query: Any, parameters: Any = None) -> None:
                if "EXECUTE page_" in query or (query.startswith("SELECT") and " LIMIT " in query):
                    pages[server] += 1
                super().execute(query, parameters)

        def watch(connection: extensions.connection, *_: object) -> None:
            connection.cursor_factory = CountingCursor

        return watch

    with service.app_context():
        watched = {db.engine: count_pages_of("primary"), db.engines[REPLICA]: count_pages_of("replica")}
    for engine, watch in watched.items():
        sa.event.listen(engine, "checkout", watch)
    try:
        yield pages
    finally:
        for engine, watch in watched.items():
            sa.event.remove(engine, "checkout", watch)


def _health(service: Flask) -> dict[str, Any]:
    response = service.test_client().get("/health/ready").json
    assert isinstance(response, dict)
    return response


def _titles(client: FlaskClient, **headers: str) -> list[str]:
    response = client.get(f"{API}/events/?sort=-created_at&page_size=3", headers=headers)
    assert response.status_code == 200, response.text
    return [event["title"] for event in response.json]


def test_every_list_is_read_from_the_replica(service: Flask) -> None:
    client = service.test_client()
    organizer, user = make_organizer(client), make_user(client)
    event = make_event(client, organizer)
    booked = book(client, user, event).json

    for account, path, expected in (
        (None, "/events/?sort=-created_at", event["id"]),
        (None, "/events/all?sort=-created_at", event["id"]),
        (user, "/bookings/", booked["id"]),
        (organizer, f"/events/{event['id']}/bookings", booked["id"]),
        (organizer, f"/users/?q={user.email}", user.id),
        (organizer, f"/bookings/{booked['id']}/emails", None),
    ):
        headers = dict(account.headers) if account else {}

        def is_read_there(path: str = path, headers: dict[str, str] = headers, expected: str | None = expected) -> bool:
            with _counted(service) as pages:
                response = client.get(f"{API}{path}", headers=headers)
            assert response.status_code == 200, response.text
            assert expected is None or response.json[0]["id"] == expected, path
            return pages == {"replica": 1}

        # lists come from the primary for a while if the replica lags or the machine is slow
        wait_until(is_read_there, seconds=PATIENCE_SECONDS)


def test_lists_contain_writes_that_the_replica_has_not_replayed(service: Flask, pair: Pair) -> None:
    client = service.test_client()
    organizer, user = make_organizer(client), make_user(client)
    with _counted(service) as pages, pair.replica.replay_paused():
        for number in range(3):
            event = make_event(client, organizer, title=f"Number {number}")
            assert _titles(client)[0] == event["title"]  # anonymous, so it may be cached
            assert _titles(client, **user.headers)[0] == event["title"]
            book(client, user, event)
            assert client.get(f"{API}/bookings/", headers=dict(user.headers)).json[0]["event_id"] == event["id"]

    assert pages["replica"] == 0
    assert pages["primary"] >= 6


def test_a_replica_is_used_again_once_it_has_caught_up(service: Flask, pair: Pair) -> None:
    client = service.test_client()
    user = make_user(client)
    with pair.replica.replay_paused():
        make_event(client)
        _titles(client, **user.headers)
        expected = {"status": "degraded", "database": "ok", "redis": "ok", "replica": "lagging"}
        wait_until(lambda: _health(service) == expected, seconds=PATIENCE_SECONDS)

    _await_use(service, user)


def _await_use(service: Flask, user: Account) -> None:
    with _counted(service) as pages:

        def is_used() -> bool:
            _titles(service.test_client(), **user.headers)
            return pages["replica"] > 0

        wait_until(is_used, seconds=PATIENCE_SECONDS)


def test_lists_work_while_the_replica_is_dead_and_use_it_once_it_is_back(service: Flask, pair: Pair) -> None:
    client = service.test_client()
    user = make_user(client)
    _titles(client, **user.headers)
    pair.replica.kill()
    try:
        event = make_event(client)
        assert [_titles(client, **user.headers)[0] for _ in range(5)] == [event["title"]] * 5
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json["status"], ready.json["replica"]) == (200, "degraded", "unavailable")
    finally:
        pair.replica.start()

    _await_use(service, user)


def test_a_hanging_replica_delays_only_the_first_list_by_a_second(service: Flask, pair: Pair) -> None:
    client = service.test_client()
    user, event = make_user(client), make_event(client)
    _await_use(service, user)
    with hung(pair.replica.server):
        seconds = []
        for _ in range(5):
            began = time.monotonic()
            assert _titles(client, **user.headers)[0] == event["title"]
            seconds.append(time.monotonic() - began)
            assert book(client, user, event).status_code == 201

    assert READ_SECONDS <= seconds[0] < CONNECT_SECONDS  # the timeout for new connections, which must not apply here
    assert median(seconds[1:]) < READ_SECONDS


@pytest.mark.parametrize(
    ("leads_to", "message"),
    [
        ("another database", "DATABASE_READ_URL and DATABASE_URL name different databases"),
        ("the primary", "DATABASE_READ_URL does not name a replica"),
    ],
)
def test_a_server_that_is_not_a_replica_of_the_database_is_not_read(
    leads_to: str, message: str, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    urls = {
        "the primary": pair.settings["DATABASE_URL"],
        "another database": f"{pair.replica.url.rpartition('/')[0]}/postgres",
    }
    with _on(pair.application(urls[leads_to])) as service:
        logging.getLogger().addHandler(caplog.handler)  # the application has removed it
        user, event = make_user(service.test_client()), make_event(service.test_client())

        def is_noticed() -> bool:
            assert _titles(service.test_client(), **user.headers)[0] == event["title"]
            return message in caplog.text

        with _counted(service) as pages:
            wait_until(is_noticed, seconds=PATIENCE_SECONDS)

    assert pages["replica"] == 0


def test_after_a_failover_a_replica_of_the_old_primary_is_not_read_at_any_position(pair: Pair, tmp_path: Path) -> None:
    with Replica(tmp_path, pair.settings["DATABASE_URL"]) as promoted:
        promoted.query("SELECT pg_promote()")
        with _on(pair.application(None)) as old:
            for _ in range(20):
                make_event(old.test_client())
            with old.app_context():
                lsn = position_of_primary().lsn
        replayed = "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint"
        wait_until(lambda: pair.replica.query(replayed) >= lsn, seconds=PATIENCE_SECONDS)
        with _on(pair.application(pair.replica.url, primary_url=promoted.url)) as service:
            event = make_event(service.test_client())
            with _counted(service) as pages:
                listed = service.test_client().get(f"{API}/events/?sort=-created_at").json

    assert listed[0]["id"] == event["id"]
    assert pages == {"primary": 1}


def test_every_connection_is_checked_because_a_host_name_may_have_several_servers(service: Flask) -> None:
    with service.app_context():
        replica, engine = replica_of(service), db.engines[REPLICA]
        assert replica

        def lead_elsewhere(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
            parameters["dbname"] = "postgres"

        with engine.connect():  # the connection that passed the check
            sa.event.listen(engine, "do_connect", lead_elsewhere)
            with pytest.raises(UnusableReplica, match="different databases"):
                replica.run(lambda connection: None, position_of_primary(), seconds=PATIENCE_SECONDS)


def test_clients_that_write_and_list_in_turn_always_see_their_writes(
    pair: Pair, settings: dict[str, str], tmp_path: Path
) -> None:
    scans = "SELECT sum(coalesce(idx_scan, 0) + seq_scan)::int FROM pg_stat_user_tables WHERE relname = 'bookings'"
    scanned, enough = pair.replica.query(scans), Event()
    assert isinstance(scanned, int)
    gives_up_at = time.monotonic() + 2 * PATIENCE_SECONDS

    def is_enough(rounds: int) -> bool:
        """Enough lists came from the replica, which lags most of the time on a busy machine."""
        read_there = pair.replica.query(scans) if rounds % 20 == 0 else scanned
        return rounds >= 200 and (read_there - scanned >= 200 or time.monotonic() > gives_up_at)

    with running_server(settings | pair.settings, tmp_path) as url, http_client(f"{url}{API}") as http:
        event = http.post("/events/", json={**EVENT, "capacity": 100_000}, headers=_log_in(http, is_organizer=True))

        def write_and_list(is_over: Callable[[int], bool]) -> int:
            rounds, headers = 0, _log_in(http)
            while not is_over(rounds):
                booked = http.post("/bookings/", json={"event_id": event.json()["id"]}, headers=headers)
                listed = http.get("/bookings/?page_size=1", headers=headers)
                assert (booked.status_code, listed.status_code) == (201, 200)
                assert listed.json()[0]["id"] == booked.json()["id"]
                rounds += 1
            return rounds

        with ThreadPoolExecutor(4) as pool:
            others = [pool.submit(write_and_list, lambda _: enough.is_set()) for _ in range(3)]
            try:
                write_and_list(is_enough)
            finally:
                enough.set()
            for other in others:
                other.result()

    assert time.monotonic() < gives_up_at


def _log_in(http: httpx.Client, *, is_organizer: bool = False) -> dict[str, str]:
    account = {"email": new_email(), "password": PASSWORD}
    http.post("/auth/signup", json={**account, "is_organizer": is_organizer}).raise_for_status()
    return {"Authorization": f"Bearer {http.post('/auth/login', json=account).json()['access_token']}"}
