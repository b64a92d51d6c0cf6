"""The older schemas, and a database on which scripts/migrate_admin_roles.py runs."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection
from sqlalchemy.engine import make_url

SCRIPT = Path(__file__).parents[2] / "scripts" / "migrate_admin_roles.py"

ENUM_SCHEMA = """
    CREATE TYPE userrole AS ENUM ('ADMIN', 'USER');
    CREATE TABLE users (
        id serial PRIMARY KEY,
        email varchar NOT NULL UNIQUE,
        hashed_password varchar NOT NULL DEFAULT '$2b$12$secret',
        role userrole NOT NULL DEFAULT 'USER'
    );
"""

TEXT_SCHEMA = """
    CREATE TABLE users (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        email text NOT NULL UNIQUE,
        hashed_password text NOT NULL DEFAULT '$2b$12$secret',
        role text NOT NULL DEFAULT 'USER'
    );
"""

ACCOUNTS = """
    INSERT INTO users (email, role)
    VALUES ('ann@example.com', 'ADMIN'), ('Bob@Example.com', 'ADMIN'), ('uma@example.com', 'USER')
"""

_COLUMNS = """
    SELECT table_schema, table_name, column_name, udt_name, character_maximum_length, column_default, is_nullable
    FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3
"""
_ENUMS = "SELECT typname, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid ORDER BY 1, enumsortorder"
_TABLES = "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND oid >= 16384 ORDER BY 1"


class OlderDatabase:
    """The database in `settings`. Reads see only committed data."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = dict(settings)
        self.url = make_url(settings["DATABASE_URL"]).set(drivername="postgresql").render_as_string(False)

    def connect(self) -> connection:
        opened: connection = psycopg2.connect(self.url)
        return opened

    def execute(self, statements: str) -> None:
        with closing(self.connect()) as opened, opened, opened.cursor() as cursor:
            cursor.execute(statements)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as opened, opened.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def roles(self) -> list[str]:
        """The roles of all accounts, sorted by email address."""
        return [role for (role,) in self.rows("SELECT role FROM users ORDER BY lower(email)")]

    def dump(self) -> list[Any]:
        """All columns with types and defaults, all enums, and all rows with their transaction IDs."""
        tables = [table for (table,) in self.rows(_TABLES)]
        rows = [(table, self.rows(f"SELECT xmin::text, t::text FROM {table} t ORDER BY ctid")) for table in tables]
        return [self.rows(_COLUMNS), self.rows(_ENUMS), rows]

    def migrate(self, *options: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
        """Run the script as a subprocess."""
        command = [sys.executable, str(script), *options]
        return subprocess.run(command, env=self.settings, capture_output=True, text=True, check=False, timeout=60)

    def migrate_ok(self, *options: str) -> list[str]:
        """Run the script, which must succeed, and return the lines of its output."""
        done = self.migrate(*options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def migrate_error(self, *options: str) -> str:
        """Run the script, which must fail without changing anything, and return its error line."""
        before = self.dump()
        done = self.migrate(*options)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("migrate_admin_roles.py: ")
        assert done.stderr.count("\n") == 1
        assert self.dump() == before
        return done.stderr.strip()
