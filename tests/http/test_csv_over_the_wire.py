"""A long file that is read slowly, sent by the running service: nothing waits for the reader, and no end is made up."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API
from tests.http.attendees import Attended, add_bookings, make_attended
from tests.service import running_server

# Some 12 MB, which is more than what the kernel takes from the service for a reader that reads nothing of it.
LONG, LONG_NAME = 10_000, "\N{PARTY POPPER}" * 254
MANY = 40


@pytest.fixture(scope="module")
def server(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One process with one connection to the database."""
    environment = {**settings, "WEB_CONCURRENCY": "1", "DATABASE_POOL_SIZE": "1"}
    with running_server(environment, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def attended(client: FlaskClient, database: sa.Engine) -> Attended:
    attended = make_attended(client)
    add_bookings(database, attended, LONG, guest_name=LONG_NAME)
    return attended


@contextmanager
def _reading_slowly(server: str, attended: Attended) -> Iterator[Iterator[bytes]]:
    """The file, of which the reader has taken no more than the beginning."""
    headers = {**attended.owner.headers, "Accept": "text/csv"}
    with httpx.stream("GET", f"{server}{attended.url}", headers=headers, timeout=30) as response:
        assert response.status_code == 200
        parts = response.iter_raw()
        yield chain([next(parts)], parts)


def test_who_reads_slowly_holds_no_connection_of_the_database(server: str, attended: Attended) -> None:
    for _ in range(2):
        with _reading_slowly(server, attended):
            assert httpx.get(f"{server}{API}/users/me", headers=attended.owner.headers).status_code == 200
        # nor does who has gone away
        assert httpx.get(f"{server}{API}/users/me", headers=attended.owner.headers).status_code == 200


def test_who_reads_slowly_gets_it_all(server: str, attended: Attended) -> None:
    with _reading_slowly(server, attended) as parts:
        assert sum(part.count(b"\n") for part in parts) == 1 + LONG


def test_many_files_at_once_keep_nobody_else_waiting(server: str, attended: Attended) -> None:
    enough = threading.Event()

    def read() -> None:
        with _reading_slowly(server, attended) as parts:
            while not enough.is_set() and next(parts, b""):
                pass

    with ThreadPoolExecutor(MANY) as readers:
        files = [readers.submit(read) for _ in range(MANY)]
        try:
            # not one finds the only connection, or the process, taken for longer than the service waits
            answers = [httpx.get(f"{server}{API}/users/me", headers=attended.owner.headers) for _ in range(5)]
        finally:
            enough.set()

    assert [answer.status_code for answer in answers] == [200] * 5
    assert [file.exception() for file in files] == [None] * MANY


def test_half_of_a_file_is_taken_for_no_whole_one(server: str, attended: Attended, database: sa.Engine) -> None:
    with _reading_slowly(server, attended) as parts:
        with database.begin() as elsewhere:
            elsewhere.execute(sa.text("ALTER TABLE bookings RENAME TO bookings_away"))
        try:
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
                for _ in parts:
                    pass
        finally:
            with database.begin() as elsewhere:
                elsewhere.execute(sa.text("ALTER TABLE bookings_away RENAME TO bookings"))

    assert httpx.get(f"{server}{API}/users/me", headers=attended.owner.headers).status_code == 200
