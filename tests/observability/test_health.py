"""What is told to whoever restarts processes and sends them requests."""

import dataclasses
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api import create_app
from bookings_api.local_stack.processes import free_port
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.http.test_collisions import execute


@pytest.fixture
def without(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """A client of the service with its PostgreSQL or Redis at another port."""

    def client(*, postgres: int | None = None, valkey: int | None = None) -> FlaskClient:
        config = Config.from_environment(NO_ENV_FILE)
        if postgres:
            config = dataclasses.replace(config, DATABASE_URL=_at(config.DATABASE_URL, postgres))
        service = create_app(config)
        if valkey:
            # afterwards: what counts for limits is bound once for all applications of a process
            monkeypatch.setitem(service.config, "REDIS_URL", _at(config.REDIS_URL, valkey))
        return service.test_client()

    return client


@contextmanager
def _silent_server() -> Iterator[int]:
    """A port on which the kernel takes connections and nobody says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _at(url: str, port: int) -> str:
    return sa.make_url(url).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)


def test_with_all_servers_there_the_service_is_ready(client: FlaskClient) -> None:
    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json) == (200, {"status": "ok", "database": "ok", "redis": "ok"})
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_process_is_alive_whatever_became_of_its_servers(without: Callable[..., FlaskClient]) -> None:
    client = without(postgres=free_port())

    answer = client.get("/health/live")

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_without_postgresql_it_is_not_ready(without: Callable[..., FlaskClient]) -> None:
    client = without(postgres=free_port())

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json) == (503, {"status": "unavailable", "database": "away", "redis": "ok"})
    assert int(answer.headers["Retry-After"]) > 0


def test_without_redis_it_is_ready_and_says_that_something_is_amiss(without: Callable[..., FlaskClient]) -> None:
    client = without(valkey=free_port())

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json) == (200, {"status": "degraded", "database": "ok", "redis": "away"})


def test_servers_that_hang_do_not_hang_the_answer(without: Callable[..., FlaskClient]) -> None:
    with _silent_server() as postgres, _silent_server() as valkey:
        client = without(postgres=postgres, valkey=valkey)
        began = time.monotonic()
        answer = client.get("/health/ready")

    assert answer.status_code == 503
    assert 1 < time.monotonic() - began < 2.5  # 1.5 s, and one for a busy machine


def test_before_the_newest_migration_it_is_not_ready(client: FlaskClient, database: sa.Engine) -> None:
    with database.connect() as connection:
        head = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    execute(database, "DELETE FROM alembic_version")
    try:
        answer = client.get("/health/ready")
    finally:
        execute(database, f"INSERT INTO alembic_version VALUES ('{head}')")

    assert (answer.status_code, answer.json["database"]) == (503, "pending")


def test_while_a_newer_release_is_rolled_out_the_old_one_stays_ready(client: FlaskClient, database: sa.Engine) -> None:
    with database.connect() as connection:
        head = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    execute(database, "UPDATE alembic_version SET version_num = 'of tomorrow'")
    try:
        answer = client.get("/health/ready")
    finally:
        execute(database, f"UPDATE alembic_version SET version_num = '{head}'")

    assert answer.status_code == 200


def test_who_asks_often_fills_no_log(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client.get("/health/live")
    client.get("/health/ready")

    lines = [record for record in caplog.records if record.name == "bookings_api.access"]
    assert [line.levelname for line in lines] == ["DEBUG", "DEBUG"]
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]
