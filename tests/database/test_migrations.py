"""The migrations, run with `flask db` as an operator would."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from psycopg2.sql import SQL, Identifier

from bookings_api.database.timeouts import GRACE_SECONDS, STATEMENT_SECONDS
from bookings_api.local_stack.processes import ROOT
from tests.database.migrating import connected, flask_db
from tests.polling import wait_until


def _with_extra_migration(directory: Path, *body: str) -> Path:
    """Copy the migrations and append one whose upgrade function consists of the lines `body`."""
    migrations = directory / "migrations"
    shutil.copytree(ROOT / "migrations", migrations)
    head = ScriptDirectory(str(migrations)).get_current_head()
    lines = ["from alembic import op", f'revision, down_revision = "extra", "{head}"', "def upgrade():"]
    (migrations / "versions" / "extra.py").write_text("\n".join([*lines, *(f"    {line}" for line in body)]))
    return migrations


def _tables(settings: dict[str, str]) -> set[str]:
    with connected(settings) as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in cursor.fetchall()}


def test_the_migrations_match_the_models_and_can_be_reverted(empty_database: dict[str, str]) -> None:
    up = flask_db("upgrade", empty_database)
    assert up.returncode == 0, up.stderr
    assert _tables(empty_database) >= {"users", "events", "bookings", "outbox_emails"}

    check = flask_db("check", empty_database)
    assert check.returncode == 0, check.stdout + check.stderr

    down = flask_db("downgrade base", empty_database)
    assert down.returncode == 0, down.stderr
    assert _tables(empty_database) == {"alembic_version"}


@pytest.mark.parametrize(
    "empty_database",
    [f"TEMPLATE template0 ENCODING UTF8 LOCALE_PROVIDER {provider} LOCALE 'C'" for provider in ("libc", "builtin")],
    indirect=True,
)
def test_text_is_folded_whatever_the_locale_of_the_database(empty_database: dict[str, str]) -> None:
    up = flask_db("upgrade", empty_database)
    assert up.returncode == 0, up.stderr

    with connected(empty_database) as cursor:
        cursor.execute("SELECT fold_text('\u00c4rzte-STRASSE \u00c9LAN \u0416\u0423\u041a \u039b\u03a5\u03a1\u0391')")
        assert cursor.fetchall() == [("arzte-strasse elan \u0436\u0443\u043a \u03bb\u03c5\u03c1\u03b1",)]


@pytest.mark.long
def test_a_migration_may_exceed_the_statement_timeout(empty_database: dict[str, str], tmp_path: Path) -> None:
    seconds = STATEMENT_SECONDS + GRACE_SECONDS + 2
    migrations = _with_extra_migration(tmp_path, f'op.execute("SELECT pg_sleep({seconds})")')
    with connected(empty_database) as cursor:
        cursor.execute("SELECT current_database()")
        [(name,)] = cursor.fetchall()
        cursor.execute(SQL("ALTER DATABASE {} SET statement_timeout = '9s'").format(Identifier(name)))

    up = flask_db("upgrade", empty_database, migrations)

    assert up.returncode == 0, up.stderr


def test_concurrent_migrations_run_one_after_the_other_even_with_a_concurrent_index(
    empty_database: dict[str, str], tmp_path: Path
) -> None:
    index = 'op.execute("CREATE INDEX CONCURRENTLY ix_events_location ON events (location)")'
    migrations = _with_extra_migration(tmp_path, "with op.get_context().autocommit_block():", f"    {index}")
    with ThreadPoolExecutor(2) as pool:
        with connected(empty_database) as cursor:  # hold the migration lock until both wait for it
            cursor.execute("SELECT pg_advisory_lock(7283451)")
            ups = [pool.submit(flask_db, "upgrade", empty_database, migrations) for _ in range(2)]

            def both_wait() -> bool:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND query LIKE '%advisory%lock%'"
                )
                return cursor.fetchone() == (2,)

            wait_until(both_wait)

        for up in ups:
            assert up.result().returncode == 0, up.result().stderr
