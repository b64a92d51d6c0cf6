"""What `scripts/migrate_admin_roles.py` refuses, each time with one clear line and everything left as it was."""

from contextlib import closing

import pytest
from sqlalchemy.engine import make_url

from tests.scripts.database import ACCOUNTS, ENUM_SCHEMA, TEXT_SCHEMA, Database

REFUSE_BOB = """
    CREATE FUNCTION refuse_bob() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.email ILIKE 'bob@%' THEN RAISE EXCEPTION 'not Bob'; END IF;
        RETURN NEW;
    END $$;
"""


@pytest.mark.parametrize("options", [["--only", "ann@example.com", "eve@example.com"], ["--only", "Eve@example.com"]])
def test_an_address_of_nobody_is_named(older: Database, options: list[str]) -> None:
    assert f"No admin has the address {options[-1]}." in older.refused(*options)


@pytest.mark.parametrize("address", ["uma@example.com", ""])
def test_an_address_of_somebody_who_is_no_admin_is_named(older: Database, address: str) -> None:
    assert f"No admin has the address {address}." in older.refused("--only", address)


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ("CREATE TABLE accounts (id int)", "no table users in the schema public"),
        (
            f"CREATE SCHEMA elsewhere; SET LOCAL search_path = elsewhere; {TEXT_SCHEMA} {ACCOUNTS}",
            "no table users in the schema public",
        ),
        ("CREATE VIEW users AS SELECT 1 AS id, 'a' AS email, 'ADMIN' AS role", "no table users"),
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
def test_a_database_that_is_not_recognised_is_left_as_it_was(empty: Database, statements: str, found: str) -> None:
    empty.execute(statements)

    assert found in empty.refused()


def test_a_failure_half_way_leaves_everything_as_it_was(older: Database) -> None:
    older.execute(REFUSE_BOB)
    older.execute("CREATE TRIGGER one BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse_bob()")

    assert "nothing was changed: not Bob" in older.refused()


def test_a_failure_at_the_commit_is_met_by_a_dry_run_too(older: Database) -> None:
    older.execute(REFUSE_BOB)
    older.execute("""
        CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse_bob()
    """)

    assert "not Bob" in older.refused("--dry-run")
    assert "not Bob" in older.refused()


def test_a_check_of_the_old_roles_is_named_and_no_password_hash_is(with_text: Database) -> None:
    with_text.execute("ALTER TABLE users ADD CONSTRAINT old_roles CHECK (role IN ('ADMIN', 'USER'))")

    line = with_text.refused()

    assert 'violates check constraint "old_roles"' in line
    assert "$2b$" not in line


def test_a_view_in_the_way_is_named(with_enum: Database) -> None:
    with_enum.execute("CREATE VIEW admins AS SELECT * FROM users WHERE role = 'ADMIN'")

    assert "on view admins depends on column" in with_enum.refused()


def test_a_trigger_that_drops_changes_does_not_pass_for_success(older: Database) -> None:
    older.execute("""
        CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER forgetful BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION forget();
    """)

    assert "did not take the roles" in older.refused()


def test_a_table_in_use_is_one_clear_line(with_text: Database) -> None:
    with closing(with_text.connect()) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM users")

        assert "users has been in use for 3s: stop the older service" in with_text.refused()


def test_a_database_that_may_only_be_read_is_one_clear_line(with_text: Database) -> None:
    line = with_text.refused("--database-url", f"{with_text.url}?options=-c%20default_transaction_read_only%3Don")

    assert "in a read-only transaction" in line


@pytest.mark.parametrize(
    ("port", "said"), [(1, "Connection refused"), (None, "password authentication failed")], ids=["port", "password"]
)
def test_no_connection_is_one_clear_line_without_the_password(empty: Database, port: int | None, said: str) -> None:
    url = make_url(empty.url).set(password="hunter2", port=port or make_url(empty.url).port)

    line = empty.refused("--database-url", url.render_as_string(False))

    assert said in line
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
def test_a_url_that_is_not_usable_is_one_clear_line_without_the_password(empty: Database, url: str) -> None:
    line = empty.refused("--database-url", url)

    assert "The database URL" in line
    assert "hunter2" not in line


def test_a_missing_url_is_one_clear_line(empty: Database) -> None:
    bare = Database(empty.settings)
    bare.settings["DATABASE_URL"] = ""

    assert "DATABASE_URL is not set" in bare.refused()


def test_a_role_that_is_none_of_the_new_ones_is_a_wrong_argument(older: Database) -> None:
    before = older.dump()

    done = older.migrate("--to", "admin")

    assert done.returncode == 2
    assert "invalid choice: 'admin'" in done.stderr
    assert older.dump() == before
