"""Health checks for process managers and load balancers."""

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
from tests.sql import execute


@pytest.fixture
def without(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FlaskClient]:
    """Create a client of the service with PostgreSQL or Redis at another port."""

    def client(*, postgres: int | None = None, valkey: int | None = None) -> FlaskClient:
        config = Config.from_environment(NO_ENV_FILE)
        if postgres:
            config = dataclasses.replace(config, DATABASE_URL=_at(config.DATABASE_URL, postgres))
        service = create_app(config)
        if valkey:
            # set afterwards, because rate limiting is bound once per process
            monkeypatch.setitem(service.config, "REDIS_URL", _at(config.REDIS_URL, valkey))
        return service.test_client()

    return client


@contextmanager
def _silent_server() -> Iterator[int]:
    """Give a port that accepts connections but never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _at(url: str, port: int) -> str:
    return sa.make_url(url).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)


def test_service_is_ready_when_all_servers_are_available(client: FlaskClient) -> None:
    response = client.get("/health/ready")

    assert (response.status_code, response.json) == (200, {"status": "ok", "database": "ok", "redis": "ok"})
    assert response.headers["Cache-Control"] == "no-store"


def test_process_is_alive_without_its_servers(without: Callable[..., FlaskClient]) -> None:
    client = without(postgres=free_port())

    response = client.get("/health/live")

    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_service_is_not_ready_without_postgresql(without: Callable[..., FlaskClient]) -> None:
    client = without(postgres=free_port())

    response = client.get("/health/ready")

    assert response.status_code == 503
    assert response.json == {"status": "unavailable", "database": "unavailable", "redis": "ok"}
    assert int(response.headers["Retry-After"]) > 0


def test_service_is_degraded_without_redis(without: Callable[..., FlaskClient]) -> None:
    client = without(valkey=free_port())

    response = client.get("/health/ready")

    assert response.status_code == 200
    assert response.json == {"status": "degraded", "database": "ok", "redis": "unavailable"}


def test_readiness_check_does_not_wait_for_unresponsive_servers(without: Callable[..., FlaskClient]) -> None:
    with _silent_server() as postgres, _silent_server() as valkey:
        client = without(postgres=postgres, valkey=valkey)
        began = time.monotonic()
        response = client.get("/health/ready")

    assert response.status_code == 503
    assert 1 < time.monotonic() - began < 2.5  # 1.5 s, plus a second for busy machines


def test_service_is_not_ready_before_the_latest_migration(client: FlaskClient, database: sa.Engine) -> None:
    with database.connect() as connection:
        head = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    execute(database, "DELETE FROM alembic_version")
    try:
        response = client.get("/health/ready")
    finally:
        execute(database, f"INSERT INTO alembic_version VALUES ('{head}')")

    assert (response.status_code, response.json["database"]) == (503, "outdated")


def test_old_release_stays_ready_while_a_newer_one_is_rolled_out(client: FlaskClient, database: sa.Engine) -> None:
    with database.connect() as connection:
        head = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    execute(database, "UPDATE alembic_version SET version_num = 'newer'")
    try:
        response = client.get("/health/ready")
    finally:
        execute(database, f"UPDATE alembic_version SET version_num = '{head}'")

    assert response.status_code == 200


def test_health_checks_are_logged_at_debug_level_only(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client.get("/health/live")
    client.get("/health/ready")

    lines = [record for record in caplog.records if record.name == "bookings_api.access"]
    assert [line.levelname for line in lines] == ["DEBUG", "DEBUG"]
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]
