"""Databases of the older schemas."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from tests.scripts.database import ACCOUNTS, ENUM_SCHEMA, TEXT_SCHEMA, Database


@pytest.fixture(scope="session")
def _own_database(settings: dict[str, str], worker_id: str) -> Iterator[Database]:
    url = make_url(settings["DATABASE_URL"])
    name = f"older_{worker_id}"
    with closing(
        psycopg2.connect(url.set(drivername="postgresql", database="postgres").render_as_string(False))
    ) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            yield Database(settings | {"DATABASE_URL": url.set(database=name).render_as_string(False)})
            cursor.execute(SQL("DROP DATABASE {}").format(Identifier(name)))


@pytest.fixture
def empty(_own_database: Database) -> Database:
    """A database without any table."""
    _own_database.execute("DROP SCHEMA IF EXISTS elsewhere CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return _own_database


@pytest.fixture
def with_enum(empty: Database) -> Database:
    """Two admins and a user; the role is an enum."""
    empty.execute(ENUM_SCHEMA + ACCOUNTS)
    return empty


@pytest.fixture
def with_text(empty: Database) -> Database:
    """Two admins and a user; the role is text."""
    empty.execute(TEXT_SCHEMA + ACCOUNTS)
    return empty


@pytest.fixture(params=["with_enum", "with_text"])
def older(request: pytest.FixtureRequest) -> Database:
    """Either of them."""
    database: Database = request.getfixturevalue(request.param)
    return database
