"""`scripts/migrate_admin_roles.py` on the older schemas, run as an operator runs it."""

import shutil
from pathlib import Path

import psycopg2
import pytest
from flask.testing import FlaskClient

from tests.factories import make_organizer, make_user
from tests.scripts.database import ENUM_SCHEMA, SCRIPT, TEXT_SCHEMA, Database


def _role_column(database: Database) -> tuple[object, ...]:
    (column,) = database.rows("""
        SELECT udt_name, character_maximum_length, is_nullable FROM information_schema.columns
        WHERE table_name = 'users' AND column_name = 'role'
    """)
    return column


def _has_enum(database: Database) -> bool:
    return bool(database.rows("SELECT 1 FROM pg_type WHERE typname = 'userrole'"))


def test_admins_become_organizers_and_users_stay_users(older: Database) -> None:
    lines = older.migrated()

    assert older.roles() == ["organizer", "organizer", "user"]
    assert {"2 x ADMIN -> organizer", "1 x USER -> user"} <= set(lines)


def test_admins_become_users_if_asked(older: Database) -> None:
    lines = older.migrated("--to", "user")

    assert older.roles() == ["user", "user", "user"]
    assert "2 x ADMIN -> user" in lines


def test_an_enum_becomes_text_and_is_dropped(with_enum: Database) -> None:
    lines = with_enum.migrated()

    assert _role_column(with_enum) == ("varchar", 32, "NO")
    assert not _has_enum(with_enum)
    assert {"Column users.role: userrole -> varchar(32)", "Type userrole: dropped"} <= set(lines)


def test_an_enum_without_accounts_is_converted_too(empty: Database) -> None:
    empty.execute(ENUM_SCHEMA)

    empty.migrated()

    assert _role_column(empty) == ("varchar", 32, "NO")


@pytest.mark.parametrize("use", ["role userrole", "roles userrole[]"])
def test_an_enum_that_is_used_elsewhere_is_kept(with_enum: Database, use: str) -> None:
    with_enum.execute(f"CREATE TABLE staff ({use}); INSERT INTO staff VALUES (NULL)")

    lines = with_enum.migrated()

    assert _has_enum(with_enum)
    assert with_enum.roles() == ["organizer", "organizer", "user"]
    (line,) = [line for line in lines if line.startswith("Type userrole: kept")]
    assert "of table staff" in line
    assert with_enum.migrated() == ["Nothing to do."]


@pytest.mark.parametrize("kind", ["text", "varchar", "varchar(20)"])
def test_a_role_of_text_is_known_in_any_case(empty: Database, kind: str) -> None:
    empty.execute(TEXT_SCHEMA.replace("role text", f"role {kind}"))
    empty.execute("""
        INSERT INTO users (email, role) VALUES ('a', 'ADMIN'), ('b', 'admin'), ('c', 'Admin'),
            ('d', 'USER'), ('e', 'user'), ('f', 'User'), ('g', 'Organizer'), ('h', 'organizer')
    """)

    empty.migrated()

    assert empty.roles() == ["organizer"] * 3 + ["user"] * 3 + ["organizer"] * 2


def test_an_enum_is_known_in_any_case(empty: Database) -> None:
    empty.execute(ENUM_SCHEMA.replace("ADMIN", "admin").replace("USER", "user"))
    empty.execute("INSERT INTO users (email, role) VALUES ('a', 'admin'), ('b', 'user')")

    empty.migrated()

    assert empty.roles() == ["organizer", "user"]


def test_a_column_too_narrow_for_organizer_is_widened(empty: Database) -> None:
    empty.execute(TEXT_SCHEMA.replace("role text", "role varchar(5)"))
    empty.execute("INSERT INTO users (email, role) VALUES ('a', 'ADMIN')")

    empty.migrated()

    assert empty.roles() == ["organizer"]
    assert _role_column(empty) == ("varchar", 32, "NO")
    assert empty.migrated() == ["Nothing to do."]


def test_the_default_survives_in_new_words_and_so_does_not_null(older: Database) -> None:
    lines = older.migrated()

    assert "Default of users.role: USER -> user" in lines
    older.execute("INSERT INTO users (email) VALUES ('zoe@example.com')")
    assert older.roles() == ["organizer", "organizer", "user", "user"]
    with pytest.raises(psycopg2.errors.NotNullViolation):
        older.execute("UPDATE users SET role = NULL")


@pytest.mark.parametrize("schema", [ENUM_SCHEMA, TEXT_SCHEMA])
@pytest.mark.parametrize("default", ["", "DEFAULT NULL"])
def test_a_column_without_default_gets_none(empty: Database, schema: str, default: str) -> None:
    empty.execute(schema.replace("NOT NULL DEFAULT 'USER'", default))

    empty.migrated()

    empty.execute("INSERT INTO users (email) VALUES ('zoe@example.com')")
    assert empty.roles() == [None]


def test_a_dry_run_shows_each_row_and_changes_nothing(older: Database) -> None:
    before = older.dump()

    lines = older.migrated("--dry-run")

    assert older.dump() == before
    for identity, email, role in older.rows("SELECT id, email, role FROM users"):
        assert f"{identity}  {email}  {role} -> {'user' if role == 'USER' else 'organizer'}" in lines
    assert lines[-1] == "Dry run: everything was rolled back, nothing has changed."


def test_a_dry_run_says_what_the_run_says(older: Database) -> None:
    tried = older.migrated("--dry-run", "--to", "user", "--only", "ann@example.com")

    assert older.migrated("--to", "user", "--only", "ann@example.com") == tried[:-1]


def test_only_the_named_admins_are_mapped_whatever_the_case_of_their_address(older: Database) -> None:
    lines = older.migrated("--only", "bob@EXAMPLE.com")

    assert older.roles() == ["ADMIN", "organizer", "user"]
    assert {"1 x ADMIN -> organizer", "1 x USER -> user"} <= set(lines)
    assert lines[-1] == "Not named by --only, so they keep their role until a later run: ann@example.com (ADMIN)"


def test_several_may_be_named_at_once_or_one_by_one(older: Database) -> None:
    older.migrated("--to", "user", "--only", "ann@example.com", "--only", "bob@example.com")

    assert older.roles() == ["user", "user", "user"]


def test_a_later_run_finishes_what_only_left(older: Database) -> None:
    older.migrated("--only", "ann@example.com")

    lines = older.migrated("--to", "user")

    assert older.roles() == ["organizer", "user", "user"]
    assert lines[1:] == ["1 x ADMIN -> user"]


@pytest.mark.parametrize("options", [[], ["--to", "user"], ["--only", "ann@example.com", "bob@example.com"]])
def test_a_second_run_finds_nothing_to_do(older: Database, options: list[str]) -> None:
    older.migrated(*options)
    before = older.dump()

    assert older.migrated(*options) == ["Nothing to do."]
    assert older.dump() == before


def test_a_database_of_the_service_itself_has_nothing_to_do(client: FlaskClient, settings: dict[str, str]) -> None:
    make_organizer(client)
    make_user(client)
    database = Database(settings)
    before = database.dump()

    assert database.migrated() == ["Nothing to do."]
    assert database.dump() == before


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_a_url_on_the_command_line_comes_before_the_environment(with_text: Database, scheme: str) -> None:
    elsewhere = Database(with_text.settings)
    elsewhere.settings["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"

    elsewhere.migrated("--database-url", with_text.url.replace("postgresql", scheme, 1))

    assert with_text.roles() == ["organizer", "organizer", "user"]


def test_it_needs_no_setting_but_the_url_which_may_stand_in_a_file(with_text: Database, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = Path(shutil.copy(SCRIPT, tmp_path / "scripts"))
    (tmp_path / ".env").write_text(f"DATABASE_URL={with_text.url}\n")
    bare = Database(with_text.settings)
    bare.settings = {}

    done = bare.migrate(script=script)

    assert (done.returncode, done.stderr) == (0, "")
    assert with_text.roles() == ["organizer", "organizer", "user"]
