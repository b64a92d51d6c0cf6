"""The service behind PgBouncer in transaction mode, where each transaction may use a different connection."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api import create_app
from bookings_api.database.engine import TRANSACTION
from bookings_api.database.prepared import Prepared
from bookings_api.database.timeouts import GRACE_SECONDS, LOCK_SECONDS
from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.local_stack.processes import ROOT
from config import Config
from tests.conftest import NO_ENV_FILE
from tests.factories import API
from tests.polling import wait_until
from tests.scaling.pgbouncer import SERVERS, needs_pgbouncer, running_pgbouncer
from tests.scaling.replica import Replica

pytestmark = [pytest.mark.long, needs_pgbouncer]

# The tests of our guarantees, and those most likely to depend on session state.
CORE = [
    "bookings",
    "concurrency",
    "events",
    "auth/test_logins.py",
    "http/response_cache/test_cache.py",
    "mail/test_outbox.py",
]

_SETTINGS = ("timezone", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
_SHOWN = sa.select(*(sa.func.current_setting(name) for name in _SETTINGS))
_BACKEND = Prepared("backend", sa.select(sa.func.pg_backend_pid(), sa.literal("100 %")))


def _backend_pids() -> set[int]:
    return {_BACKEND()[0][0] for _ in range(2 * SERVERS)}


@pytest.fixture
def through_pgbouncer(app: Flask, database: sa.Engine, tmp_path: Path) -> Iterator[Flask]:
    """The application context of a service that reaches the test database through PgBouncer."""
    config, url = Config.from_environment(NO_ENV_FILE), database.url.render_as_string(hide_password=False)
    with running_pgbouncer(tmp_path, url) as through:
        service = create_app(dataclasses.replace(config, DATABASE_URL=through, DATABASE_POOL_MODE=TRANSACTION))
        with service.app_context():
            # PgBouncer opens its connections one by one.
            wait_until(lambda: len(_backend_pids()) == SERVERS, seconds=30)
            yield service
            db.session.remove()
            db.engine.dispose()


@pytest.mark.usefixtures("through_pgbouncer")
def test_timeouts_apply_to_single_statements_and_to_transactions() -> None:
    alone = tuple(db.session.execute(_SHOWN).one())
    db.session.rollback()
    with transaction():
        inside = tuple(db.session.execute(_SHOWN).one())

    assert alone == ("UTC", "5s", "6s", "2s")
    assert inside == ("UTC", "5s", "15s", "2s")


def test_a_transaction_leaves_no_settings_in_the_session(through_pgbouncer: Flask, database: sa.Engine) -> None:
    with database.connect() as connection:
        defaults = tuple(connection.execute(_SHOWN).one())
    with transaction():
        db.session.execute(_SHOWN)

    engine = sa.create_engine(through_pgbouncer.config["DATABASE_URL"], poolclass=sa.NullPool)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        assert {tuple(connection.execute(_SHOWN).one()) for _ in range(2 * SERVERS)} == {defaults}


@pytest.mark.usefixtures("through_pgbouncer")
def test_prepared_statements_run_unprepared_on_any_connection() -> None:
    assert len(_backend_pids()) == SERVERS
    assert _BACKEND()[0][1] == "100 %"


@pytest.mark.usefixtures("through_pgbouncer")
def test_postgresql_cancels_a_statement_that_takes_too_long(database: sa.Engine) -> None:
    with pytest.raises(sa.exc.OperationalError, match="statement timeout"):
        db.session.execute(sa.text("SELECT pg_sleep(60)"))
    db.session.rollback()

    with database.connect() as connection:
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        assert connection.scalar(sa.text(sleeping)) == 0


def test_a_request_that_gets_no_connection_in_time_is_a_503(through_pgbouncer: Flask) -> None:
    db.session.remove()
    others = sa.create_engine(through_pgbouncer.config["DATABASE_URL"], poolclass=sa.NullPool)
    with ExitStack() as stack:
        for _ in range(SERVERS):
            stack.enter_context(others.connect()).execute(sa.text("SELECT 1"))  # leaves its transaction open
        began = time.monotonic()
        response = through_pgbouncer.test_client().get(f"{API}/events/?page_size=7")
        seconds = time.monotonic() - began

    assert (response.status_code, response.json["code"]) == (503, "unavailable")
    assert seconds < LOCK_SECONDS + GRACE_SECONDS  # when the service itself gives up


def test_pgbouncer_reconnects_soon_after_postgresql_restarts(database: sa.Engine, tmp_path: Path) -> None:
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with Replica(tmp_path, url) as server, running_pgbouncer(tmp_path, server.url) as through:

        def responds() -> bool:
            try:
                with closing(psycopg2.connect(through)) as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except psycopg2.OperationalError:
                return False
            return True

        wait_until(responds, seconds=30)
        server.kill()
        assert not responds()
        server.start()
        wait_until(responds, seconds=8)


def test_the_core_of_the_suite_passes_through_pgbouncer() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "--numprocesses=2", *(f"tests/{part}" for part in CORE)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {"DATABASE_POOL_MODE": TRANSACTION},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )

    assert done.returncode == 0, done.stdout[-5000:]
