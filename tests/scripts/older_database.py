"""The older schemas, and a database on which scripts/migrate_admin_roles.py runs."""

import os
import runpy
import sys
from collections.abc import Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
import pytest
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


class Run(NamedTuple):
    """The exit status and output of the script."""

    status: int
    stdout: str
    stderr: str


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

    def migrate(self, *options: str) -> Run:
        """Run the script in this process, which has already loaded its libraries."""
        status, stdout, stderr = 0, StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
            patch.setattr(sys, "argv", [str(SCRIPT), *options])
            patch.setattr(os, "environ", dict(self.settings))
            try:
                runpy.run_path(str(SCRIPT), run_name="__main__")
            except SystemExit as end:
                if isinstance(end.code, int):
                    status = end.code
                else:  # the interpreter prints a message and exits with 1
                    status = 1
                    print(end.code, file=stderr)
        return Run(status, stdout.getvalue(), stderr.getvalue())

    def migrate_ok(self, *options: str) -> list[str]:
        """Run the script, which must succeed, and return the lines of its output."""
        done = self.migrate(*options)
        assert (done.status, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def migrate_error(self, *options: str) -> str:
        """Run the script, which must fail without changing anything, and return its error line."""
        before = self.dump()
        done = self.migrate(*options)
        assert (done.status, done.stdout) == (1, "")
        assert done.stderr.startswith("migrate_admin_roles.py: ")
        assert done.stderr.count("\n") == 1
        assert self.dump() == before
        return done.stderr.strip()
