"""`/metrics` reports exact sums over all processes of a gunicorn, including dead ones."""

import dataclasses
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from bookings_api import create_app
from bookings_api.local_stack.processes import ROOT, free_port
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.factories import make_event, make_user
from tests.http.raw import send
from tests.http_client import http_client
from tests.polling import wait_until
from tests.scraping import TOKEN, Gunicorn, Values, read
from tests.service import running_gunicorn


@pytest.fixture(scope="module")
def gunicorn(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    directory = tmp_path_factory.mktemp("metrics")
    environment = {**settings, "PROMETHEUS_MULTIPROC_DIR": str(directory), "WEB_CONCURRENCY": "2"}
    with (
        running_gunicorn(environment, tmp_path_factory.mktemp("logs")) as (url, server),
        http_client(reuse=False) as http,
    ):
        yield Gunicorn(url, server, directory, http)


def _send(gunicorn: Gunicorn, count: int = 60) -> None:
    """Send `count` requests for lists and a third as many for unknown events, concurrently."""
    urls = [f"{gunicorn.api}/events/"] * count + [f"{gunicorn.api}/events/{uuid4()}" for _ in range(count // 3)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(gunicorn.http.get, urls))


def _sent(before: Values, after: Values) -> tuple[float, float]:
    counted = after - before
    return (
        counted["http_requests_total", "GET", "/api/v1/events/", "200"],
        counted["http_requests_total", "GET", "/api/v1/events/{event_id}", "404"],
    )


@pytest.mark.usefixtures("app")
def test_requests_are_summed_over_all_processes(gunicorn: Gunicorn) -> None:
    before = gunicorn.metrics()

    _send(gunicorn)

    assert _sent(before, gunicorn.metrics()) == (60, 20)
    assert len([name for name in gunicorn.files() if name.startswith("counter_")]) == 2


@pytest.mark.usefixtures("app")
def test_counts_survive_killed_processes_exactly_once(gunicorn: Gunicorn) -> None:
    before = gunicorn.metrics()
    for _ in range(3):
        _send(gunicorn)
        gunicorn.kill_workers()
    _send(gunicorn)

    after = gunicorn.metrics()
    assert _sent(before, after) == (4 * 60, 4 * 20)
    assert after["database_pool_limit",] == 2 * 8  # living processes only
    assert len([name for name in gunicorn.files() if name.startswith("gauge_")]) == 2


@pytest.mark.usefixtures("app")
def test_histogram_and_counter_agree(gunicorn: Gunicorn) -> None:
    _send(gunicorn)

    counted, timed = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for (name, *labels), value in gunicorn.metrics().items():
        if name == "http_requests_total" and labels[1] != "(gunicorn)":
            counted[tuple(labels[:2])] += value
        elif name == "http_request_duration_seconds_count":
            timed[tuple(labels)] += value
    assert timed == counted
    assert timed["GET", "/api/v1/events/"] >= 60


def test_bookings_are_counted_by_outcome(gunicorn: Gunicorn, client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client, capacity=3)
    before = gunicorn.metrics()

    for key in ("a", "a", "b"):
        gunicorn.book(user, event["id"], **{"Idempotency-Key": key})
    gunicorn.book(user, str(uuid4()))
    gunicorn.book(user, "none")
    gunicorn.book(dataclasses.replace(user, token="none"), event["id"])
    gunicorn.http.get(f"{gunicorn.api}/bookings/", headers=dict(user.headers))

    outcomes = {
        labels[0]: value for (name, *labels), value in (gunicorn.metrics() - before).items() if name == "bookings_total"
    }
    assert outcomes == dict.fromkeys(
        ["confirmed", "replayed", "sold-out", "event-not-found", "invalid-input", "unauthenticated"], 1
    )


@pytest.mark.usefixtures("app")
def test_hostile_clients_add_at_most_one_route_and_one_method(gunicorn: Gunicorn) -> None:
    def labels() -> tuple[set[str], set[str]]:
        requests = [labels for name, *labels in gunicorn.metrics() if name == "http_requests_total"]
        return {method for method, *_ in requests}, {route for _, route, _ in requests}

    _send(gunicorn)
    methods, routes = labels()
    for number in range(20):
        gunicorn.http.get(f"{gunicorn.url}/nowhere/{number}?{number}")
        gunicorn.http.get(f"{gunicorn.api}/events/{number}/%0a{{}}")
        gunicorn.http.request(f"BREW{number}", f"{gunicorn.api}/events/")

    assert labels() == (methods | {"(other)"}, routes | {"(no route)"})


def test_errors_sent_by_gunicorn_are_counted(gunicorn: Gunicorn) -> None:
    before = gunicorn.metrics()

    send(gunicorn.url, b"GET / HTTP/9.9\r\n\r\n")

    assert (gunicorn.metrics() - before)["http_requests_total", "(other)", "(gunicorn)", "400"] == 1


def test_connections_in_use_are_summed_over_all_processes(
    gunicorn: Gunicorn, client: FlaskClient, database: sa.Engine
) -> None:
    user = make_user(client)
    events = [make_event(client)["id"] for _ in range(3)]  # bookings of the same event take turns in each process

    def in_use() -> float:
        return gunicorn.metrics()["database_pool_connections", "in_use"]

    with ThreadPoolExecutor(3) as pool:
        with database.connect() as other_session:
            locked = sa.text("SELECT FROM events WHERE id = ANY (CAST(:ids AS uuid[])) FOR UPDATE")
            other_session.execute(locked, {"ids": events})
            bookings = [pool.submit(gunicorn.book, user, event) for event in events]
            wait_until(lambda: in_use() == 3, seconds=4)
        assert [booking.result().status_code for booking in bookings] == [201] * 3

    assert in_use() == 0
    assert gunicorn.metrics()["database_pool_connections", "idle"] >= 2


def test_connections_of_a_killed_process_are_not_counted(
    gunicorn: Gunicorn, client: FlaskClient, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client)

    def in_use() -> float:
        return gunicorn.metrics()["database_pool_connections", "in_use"]

    with ThreadPoolExecutor(1) as pool, database.connect() as other_session:
        other_session.execute(sa.text("SELECT FROM events WHERE id = :id FOR UPDATE"), {"id": event["id"]})
        booking = pool.submit(gunicorn.book, user, event["id"])
        wait_until(lambda: in_use() == 1, seconds=4)
        gunicorn.kill_workers()
        assert in_use() == 0
        assert isinstance(booking.exception(), httpx.TransportError)


def test_names_and_units_follow_prometheus_conventions(gunicorn: Gunicorn) -> None:
    """The rules of `promtool check metrics`."""
    for family in text_string_to_metric_families(gunicorn.http.get(f"{gunicorn.url}/metrics", headers=TOKEN).text):
        assert re.fullmatch("[a-z][a-z_]*[a-z]", family.name)
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_count", "_sum", "_bucket", "_total", "_gauge", "_counter", "_milliseconds"))
        if family.type == "counter":
            assert all(sample.name == f"{family.name}_total" for sample in family.samples)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


def test_gunicorn_removes_its_metrics_directory_on_exit(settings: dict[str, str], tmp_path: Path) -> None:
    with running_gunicorn({**settings, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, tmp_path):
        assert list(tmp_path.glob("*/*.db"))

    assert list(tmp_path.glob("*/")) == []


def test_other_processes_write_no_metrics_files(settings: dict[str, str], tmp_path: Path) -> None:
    program = """if True:
        from bookings_api.mail.status import outbox_state
        from wsgi import app
        with app.app_context():
            outbox_state()
    """

    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**settings, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        check=True,
    )

    assert list(tmp_path.iterdir()) == []


def test_streamed_response_is_counted_when_it_ends(app: Flask) -> None:
    service = create_app(Config.from_environment(NO_ENV_FILE))
    service.add_url_rule("/streamed/<name>", view_func=lambda name: (part for part in ("a", "b")))
    client = service.test_client()

    def counted() -> int:
        text = client.get("/metrics", headers=TOKEN).text
        return int(read(text)["http_requests_total", "GET", "/streamed/{name}", "200"])

    response = client.get("/streamed/letters")
    assert counted() == 0
    assert response.text == "ab"
    response.close()
    assert counted() == 1


@pytest.mark.usefixtures("app")
def test_other_metrics_are_reported_while_postgresql_is_unavailable() -> None:
    config = Config.from_environment(NO_ENV_FILE)
    unreachable = sa.make_url(config.DATABASE_URL).set(port=free_port()).render_as_string(hide_password=False)
    client = create_app(dataclasses.replace(config, DATABASE_URL=unreachable)).test_client()
    before = read(client.get("/metrics", headers=TOKEN).text)
    client.get("/api/v1/events/")

    values = read(client.get("/metrics", headers=TOKEN).text)

    assert (values - before)["database_failures_total", "OperationalError"] == 1
    assert not [name for name, *_ in values if name.startswith("outbox")]
