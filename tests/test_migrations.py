"""The schema's history, run as an operator runs it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from bookings_api.database import GRACE_SECONDS, STATEMENT_SECONDS
from tests.polling import wait_until


@pytest.fixture
def empty_database(settings: dict[str, str], worker_id: str) -> Iterator[dict[str, str]]:
    """The settings of a service whose database is empty."""
    url = make_url(settings["DATABASE_URL"])
    name = f"migrations_{worker_id}"
    connection = psycopg2.connect(url.set(drivername="postgresql", database="postgres").render_as_string(False))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        yield settings | {"DATABASE_URL": url.set(database=name).render_as_string(False)}
        cursor.execute(SQL("DROP DATABASE {}").format(Identifier(name)))
    connection.close()


def _flask_db(command: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "flask", "db", *command.split()]
    return subprocess.run(arguments, env=settings, capture_output=True, text=True, check=False)


def _tables(settings: dict[str, str]) -> set[str]:
    url = make_url(settings["DATABASE_URL"]).set(drivername="postgresql")
    with psycopg2.connect(url.render_as_string(False)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = {name for (name,) in cursor.fetchall()}
    connection.close()
    return tables


def test_the_schema_goes_up_from_empty_matches_the_models_and_goes_down_again(empty_database: dict[str, str]) -> None:
    up = _flask_db("upgrade", empty_database)
    assert up.returncode == 0, up.stderr
    assert _tables(empty_database) >= {"users", "events", "bookings", "outbox_mails"}

    check = _flask_db("check", empty_database)
    assert check.returncode == 0, check.stdout + check.stderr

    down = _flask_db("downgrade base", empty_database)
    assert down.returncode == 0, down.stderr
    assert _tables(empty_database) == {"alembic_version"}


@pytest.mark.long
def test_a_migration_takes_longer_than_any_request_may(empty_database: dict[str, str]) -> None:
    url = make_url(empty_database["DATABASE_URL"]).set(drivername="postgresql")
    other = psycopg2.connect(url.render_as_string(False))  # as one that migrates on another machine
    with other.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("SELECT pg_advisory_lock(7283451)")
        up = pool.submit(_flask_db, "upgrade", empty_database)

        def waits() -> bool:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return cursor.fetchone() == (1,)

        wait_until(waits, seconds=60)
        time.sleep(STATEMENT_SECONDS + GRACE_SECONDS + 2)
        other.close()

    assert up.result().returncode == 0, up.result().stderr
