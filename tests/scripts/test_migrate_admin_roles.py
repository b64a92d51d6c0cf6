"""`scripts/migrate_admin_roles.py` converts the older schemas."""

import shutil
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from flask.testing import FlaskClient

from tests.factories import make_organizer, make_user
from tests.scripts.older_database import ENUM_SCHEMA, SCRIPT, TEXT_SCHEMA, OlderDatabase


def _role_column(database: OlderDatabase) -> tuple[object, ...]:
    (column,) = database.rows("""
        SELECT udt_name, character_maximum_length, is_nullable FROM information_schema.columns
        WHERE table_name = 'users' AND column_name = 'role'
    """)
    return column


def _has_enum(database: OlderDatabase) -> bool:
    return bool(database.rows("SELECT 1 FROM pg_type WHERE typname = 'userrole'"))


def test_admins_become_organizers_and_users_stay_users(older: OlderDatabase) -> None:
    lines = older.migrate_ok()

    assert older.roles() == ["organizer", "organizer", "user"]
    assert {"2 x ADMIN -> organizer", "1 x USER -> user"} <= set(lines)


def test_admins_become_users_with_the_option_to_user(older: OlderDatabase) -> None:
    lines = older.migrate_ok("--to", "user")

    assert older.roles() == ["user", "user", "user"]
    assert "2 x ADMIN -> user" in lines


def test_an_enum_column_becomes_text_and_the_type_is_dropped(with_enum: OlderDatabase) -> None:
    lines = with_enum.migrate_ok()

    assert _role_column(with_enum) == ("varchar", 32, "NO")
    assert not _has_enum(with_enum)
    assert {"Column users.role: userrole -> varchar(32)", "Type userrole: dropped"} <= set(lines)


def test_an_enum_column_is_converted_without_any_accounts(empty: OlderDatabase) -> None:
    empty.execute(ENUM_SCHEMA)

    empty.migrate_ok()

    assert _role_column(empty) == ("varchar", 32, "NO")


@pytest.mark.parametrize("use", ["role userrole", "roles userrole[]"])
def test_an_enum_type_that_is_used_elsewhere_is_kept(with_enum: OlderDatabase, use: str) -> None:
    with_enum.execute(f"CREATE TABLE staff ({use}); INSERT INTO staff VALUES (NULL)")

    lines = with_enum.migrate_ok()

    assert _has_enum(with_enum)
    assert with_enum.roles() == ["organizer", "organizer", "user"]
    (line,) = [line for line in lines if line.startswith("Type userrole: kept")]
    assert "of table staff" in line
    assert with_enum.migrate_ok() == ["Nothing to do."]


@pytest.mark.parametrize("kind", ["text", "varchar", "varchar(20)"])
def test_text_roles_are_recognized_in_any_case(empty: OlderDatabase, kind: str) -> None:
    empty.execute(TEXT_SCHEMA.replace("role text", f"role {kind}"))
    empty.execute("""
        INSERT INTO users (email, role) VALUES ('a', 'ADMIN'), ('b', 'admin'), ('c', 'Admin'),
            ('d', 'USER'), ('e', 'user'), ('f', 'User'), ('g', 'Organizer'), ('h', 'organizer')
    """)

    empty.migrate_ok()

    assert empty.roles() == ["organizer"] * 3 + ["user"] * 3 + ["organizer"] * 2


def test_enum_roles_are_recognized_in_any_case(empty: OlderDatabase) -> None:
    empty.execute(ENUM_SCHEMA.replace("ADMIN", "admin").replace("USER", "user"))
    empty.execute("INSERT INTO users (email, role) VALUES ('a', 'admin'), ('b', 'user')")

    empty.migrate_ok()

    assert empty.roles() == ["organizer", "user"]


def test_a_column_too_narrow_for_organizer_is_widened(empty: OlderDatabase) -> None:
    empty.execute(TEXT_SCHEMA.replace("role text", "role varchar(5)"))
    empty.execute("INSERT INTO users (email, role) VALUES ('a', 'ADMIN')")

    empty.migrate_ok()

    assert empty.roles() == ["organizer"]
    assert _role_column(empty) == ("varchar", 32, "NO")
    assert empty.migrate_ok() == ["Nothing to do."]


def test_the_default_is_renamed_and_the_column_stays_not_null(older: OlderDatabase) -> None:
    lines = older.migrate_ok()

    assert "Default of users.role: USER -> user" in lines
    older.execute("INSERT INTO users (email) VALUES ('zoe@example.com')")
    assert older.roles() == ["organizer", "organizer", "user", "user"]
    with pytest.raises(psycopg2.errors.NotNullViolation):
        older.execute("UPDATE users SET role = NULL")


@pytest.mark.parametrize("schema", [ENUM_SCHEMA, TEXT_SCHEMA])
@pytest.mark.parametrize("default", ["", "DEFAULT NULL"])
def test_a_column_without_default_gets_none(empty: OlderDatabase, schema: str, default: str) -> None:
    empty.execute(schema.replace("NOT NULL DEFAULT 'USER'", default))

    empty.migrate_ok()

    empty.execute("INSERT INTO users (email) VALUES ('zoe@example.com')")
    assert empty.roles() == [None]


def test_a_dry_run_shows_each_row_and_changes_nothing(older: OlderDatabase) -> None:
    before = older.dump()

    lines = older.migrate_ok("--dry-run")

    assert older.dump() == before
    for identity, email, role in older.rows("SELECT id, email, role FROM users"):
        assert f"{identity}  {email}  {role} -> {'user' if role == 'USER' else 'organizer'}" in lines
    assert lines[-1] == "Dry run: all changes were rolled back."


def test_a_dry_run_prints_the_same_as_a_real_run(older: OlderDatabase) -> None:
    tried = older.migrate_ok("--dry-run", "--to", "user", "--only", "ann@example.com")

    assert older.migrate_ok("--to", "user", "--only", "ann@example.com") == tried[:-1]


def test_only_limits_the_conversion_to_addresses_in_any_case(older: OlderDatabase) -> None:
    lines = older.migrate_ok("--only", "bob@EXAMPLE.com")

    assert older.roles() == ["ADMIN", "organizer", "user"]
    assert {"1 x ADMIN -> organizer", "1 x USER -> user"} <= set(lines)
    assert lines[-1] == "Unchanged, because not listed in --only: ann@example.com (ADMIN)"


def test_only_can_be_repeated(older: OlderDatabase) -> None:
    older.migrate_ok("--to", "user", "--only", "ann@example.com", "--only", "bob@example.com")

    assert older.roles() == ["user", "user", "user"]


def test_a_later_run_converts_the_remaining_admins(older: OlderDatabase) -> None:
    older.migrate_ok("--only", "ann@example.com")

    lines = older.migrate_ok("--to", "user")

    assert older.roles() == ["organizer", "user", "user"]
    assert lines[1:] == ["1 x ADMIN -> user"]


@pytest.mark.parametrize("options", [[], ["--to", "user"], ["--only", "ann@example.com", "bob@example.com"]])
def test_a_second_run_changes_nothing(older: OlderDatabase, options: list[str]) -> None:
    older.migrate_ok(*options)
    before = older.dump()

    assert older.migrate_ok(*options) == ["Nothing to do."]
    assert older.dump() == before


def test_a_current_database_is_left_unchanged(client: FlaskClient, settings: dict[str, str]) -> None:
    make_organizer(client)
    make_user(client)
    database = OlderDatabase(settings)
    before = database.dump()

    assert database.migrate_ok() == ["Nothing to do."]
    assert database.dump() == before


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_a_url_on_the_command_line_overrides_the_environment(with_text: OlderDatabase, scheme: str) -> None:
    elsewhere = OlderDatabase(with_text.settings)
    elsewhere.settings["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"

    elsewhere.migrate_ok("--database-url", with_text.url.replace("postgresql", scheme, 1))

    assert with_text.roles() == ["organizer", "organizer", "user"]


def test_the_url_in_an_env_file_is_the_only_required_setting(with_text: OlderDatabase, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = Path(shutil.copy(SCRIPT, tmp_path / "scripts"))
    (tmp_path / ".env").write_text(f"DATABASE_URL={with_text.url}\n")

    done = subprocess.run(
        [sys.executable, str(script)], env={}, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert with_text.roles() == ["organizer", "organizer", "user"]
