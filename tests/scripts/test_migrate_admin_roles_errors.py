"""Errors of `scripts/migrate_admin_roles.py`: each is one clear line, and the database stays unchanged."""

from contextlib import closing

import pytest
from sqlalchemy.engine import make_url

from tests.scripts.older_database import ACCOUNTS, ENUM_SCHEMA, TEXT_SCHEMA, OlderDatabase

REFUSE_BOB = """
    CREATE FUNCTION refuse_bob() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.email ILIKE 'bob@%' THEN RAISE EXCEPTION 'not Bob'; END IF;
        RETURN NEW;
    END $$;
"""


@pytest.mark.parametrize("options", [["--only", "ann@example.com", "eve@example.com"], ["--only", "Eve@example.com"]])
def test_an_address_without_an_account_is_an_error(older: OlderDatabase, options: list[str]) -> None:
    assert f"No admin has the address {options[-1]}." in older.migrate_error(*options)


@pytest.mark.parametrize("address", ["uma@example.com", ""])
def test_an_address_that_is_not_an_admins_is_an_error(older: OlderDatabase, address: str) -> None:
    assert f"No admin has the address {address}." in older.migrate_error("--only", address)


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ("CREATE TABLE accounts (id int)", "Schema public has no table users"),
        (
            f"CREATE SCHEMA elsewhere; SET LOCAL search_path = elsewhere; {TEXT_SCHEMA} {ACCOUNTS}",
            "Schema public has no table users",
        ),
        ("CREATE VIEW users AS SELECT 1 AS id, 'a' AS email, 'ADMIN' AS role", "has no table users"),
        ("CREATE TABLE users (id int, email text)", "no column role; found id, email."),
        ("CREATE TABLE users (id int, role text)", "no column email; found id, role."),
        ("CREATE TABLE users (email text, role text)", "no column id; found email, role."),
        ("CREATE TABLE users (id int, email text, role int)", "found integer."),
        ("CREATE TABLE users (id int, email text, role char(5))", "found character(5)."),
        ("CREATE TABLE users (id int, email text, role text[])", "found text[]."),
        (
            "CREATE TYPE rank AS ENUM ('ADMIN', 'USER'); CREATE TABLE users (id int, email text, role rank)",
            "found rank.",
        ),
        (ENUM_SCHEMA.replace("'USER')", "'USER', 'MODERATOR')") + ACCOUNTS, "found 'MODERATOR'."),
        (TEXT_SCHEMA + ACCOUNTS + ", ('eve', 'root'), ('kim', ' admin')", "found ' admin', 'root'."),
        (TEXT_SCHEMA.replace("'USER'", "'guest'"), "found 'guest'."),
        (TEXT_SCHEMA.replace("'USER'", "lower('USER')"), "found lower('USER'::text)."),
        (TEXT_SCHEMA.replace("NOT NULL DEFAULT 'USER'", "") + ACCOUNTS + ", ('eve', NULL)", "found NULL."),
    ],
)
def test_an_unrecognized_schema_is_an_error(empty: OlderDatabase, statements: str, found: str) -> None:
    empty.execute(statements)

    assert found in empty.migrate_error()


def test_an_error_during_the_migration_changes_nothing(older: OlderDatabase) -> None:
    older.execute(REFUSE_BOB)
    older.execute("CREATE TRIGGER one BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse_bob()")

    assert "nothing was changed: not Bob" in older.migrate_error()


def test_a_dry_run_finds_errors_that_occur_at_commit(older: OlderDatabase) -> None:
    older.execute(REFUSE_BOB)
    older.execute("""
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse_bob()
    """)

    assert "not Bob" in older.migrate_error("--dry-run")
    assert "not Bob" in older.migrate_error()


def test_a_violated_check_constraint_is_reported_without_password_hashes(with_text: OlderDatabase) -> None:
    with_text.execute("ALTER TABLE users ADD CONSTRAINT old_roles CHECK (role IN ('ADMIN', 'USER'))")

    line = with_text.migrate_error()

    assert 'violates check constraint "old_roles"' in line
    assert "$2b$" not in line


def test_a_view_that_prevents_the_conversion_is_reported(with_enum: OlderDatabase) -> None:
    with_enum.execute("CREATE VIEW admins AS SELECT * FROM users WHERE role = 'ADMIN'")

    assert "on view admins depends on column" in with_enum.migrate_error()


def test_a_trigger_that_discards_the_changes_is_an_error(older: OlderDatabase) -> None:
    older.execute("""
        CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER forgetful BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION forget();
    """)

    assert "does not contain the roles that were written" in older.migrate_error()


def test_a_table_in_use_is_an_error(with_text: OlderDatabase) -> None:
    with closing(with_text.connect()) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM users")

        assert "users is still in use after 3s. Stop the older service" in with_text.migrate_error()


def test_a_read_only_database_is_an_error(with_text: OlderDatabase) -> None:
    line = with_text.migrate_error("--database-url", f"{with_text.url}?options=-c%20default_transaction_read_only%3Don")

    assert "in a read-only transaction" in line


@pytest.mark.parametrize(
    ("port", "message"), [(1, "Connection refused"), (None, "password authentication failed")], ids=["port", "password"]
)
def test_a_connection_error_does_not_contain_the_password(empty: OlderDatabase, port: int | None, message: str) -> None:
    url = make_url(empty.url).set(password="hunter2", port=port or make_url(empty.url).port)

    line = empty.migrate_error("--database-url", url.render_as_string(False))

    assert message in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "mysql://user:hunter2@localhost/bookings",
        "postgresql://user:hunter2@localhost",
        "postgresql://user:hunter2@localhost:port/bookings",
        "postgresql://user:pass@hunter2@localhost/bookings",
        "postgresql://user:hunter2%00@localhost/bookings",
        "postgresql://user:hunter2@localhost/bookings?colour=blue",
    ],
)
def test_an_invalid_url_is_reported_without_the_password(empty: OlderDatabase, url: str) -> None:
    line = empty.migrate_error("--database-url", url)

    assert "The database URL" in line
    assert "hunter2" not in line


def test_a_missing_url_is_an_error(empty: OlderDatabase) -> None:
    bare = OlderDatabase(empty.settings)
    bare.settings["DATABASE_URL"] = ""

    assert "DATABASE_URL is not set" in bare.migrate_error()


def test_an_unknown_target_role_is_an_invalid_argument(older: OlderDatabase) -> None:
    before = older.dump()

    done = older.migrate("--to", "admin")

    assert done.status == 2
    assert "invalid choice: 'admin'" in done.stderr
    assert older.dump() == before
