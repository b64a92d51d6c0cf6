"""Fixtures: databases without tables."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.sql import SQL, Identifier
from sqlalchemy.engine import make_url


@pytest.fixture
def empty_database(
    settings: dict[str, str], worker_id: str, request: pytest.FixtureRequest
) -> Iterator[dict[str, str]]:
    """Settings with the URL of an empty database. An indirect parameter adds options to its creation."""
    url = make_url(settings["DATABASE_URL"])
    name = f"migrations_{worker_id}"
    connection = psycopg2.connect(url.set(drivername="postgresql", database="postgres").render_as_string(False))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SQL("CREATE DATABASE {} {}").format(Identifier(name), SQL(getattr(request, "param", ""))))
        yield settings | {"DATABASE_URL": url.set(database=name).render_as_string(False)}
        # on a busy machine, closed sessions may take longer to end than DROP DATABASE waits
        cursor.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
    connection.close()
