"""Fixtures: databases with the older schemas."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from tests.scripts.older_database import ACCOUNTS, ENUM_SCHEMA, TEXT_SCHEMA, OlderDatabase


@pytest.fixture(scope="session")
def _own_database(settings: dict[str, str], worker_id: str) -> Iterator[OlderDatabase]:
    url = make_url(settings["DATABASE_URL"])
    name = f"older_{worker_id}"
    with closing(
        psycopg2.connect(url.set(drivername="postgresql", database="postgres").render_as_string(False))
    ) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            yield OlderDatabase(settings | {"DATABASE_URL": url.set(database=name).render_as_string(False)})
            cursor.execute(SQL("DROP DATABASE {}").format(Identifier(name)))


@pytest.fixture
def empty(_own_database: OlderDatabase) -> OlderDatabase:
    """A database without tables."""
    _own_database.execute("DROP SCHEMA IF EXISTS elsewhere CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return _own_database


@pytest.fixture
def with_enum(empty: OlderDatabase) -> OlderDatabase:
    """Two admins and one user, with the role as an enum."""
    empty.execute(ENUM_SCHEMA + ACCOUNTS)
    return empty


@pytest.fixture
def with_text(empty: OlderDatabase) -> OlderDatabase:
    """Two admins and one user, with the role as text."""
    empty.execute(TEXT_SCHEMA + ACCOUNTS)
    return empty


@pytest.fixture(params=["with_enum", "with_text"])
def older(request: pytest.FixtureRequest) -> OlderDatabase:
    """Each of the two older schemas in turn."""
    database: OlderDatabase = request.getfixturevalue(request.param)
    return database
