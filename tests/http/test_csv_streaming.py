"""Streaming a long CSV file to slow readers from the running service."""

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
from tests.http.attendee_list import AttendeeList, add_bookings, make_attendee_list, without_bookings_table
from tests.service import running_server

# About 12 MB, more than the kernel buffers for a reader that reads nothing.
BOOKINGS, GUEST_NAME = 10_000, "\N{PARTY POPPER}" * 254
READERS = 40


@pytest.fixture(scope="module")
def server(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One process with one database connection."""
    environment = {**settings, "WEB_CONCURRENCY": "1", "DATABASE_POOL_SIZE": "1"}
    with running_server(environment, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def attendee_list(client: FlaskClient, database: sa.Engine) -> AttendeeList:
    attendee_list = make_attendee_list(client)
    add_bookings(database, attendee_list, BOOKINGS, guest_name=GUEST_NAME)
    return attendee_list


@contextmanager
def _reading_slowly(server: str, attendee_list: AttendeeList) -> Iterator[Iterator[bytes]]:
    """Chunks of the file, of which only the first has been read."""
    headers = {**attendee_list.owner.headers, "Accept": "text/csv"}
    with httpx.stream("GET", f"{server}{attendee_list.url}", headers=headers, timeout=30) as response:
        assert response.status_code == 200
        chunks = response.iter_raw()
        yield chain([next(chunks)], chunks)


def test_a_slow_reader_holds_no_database_connection(server: str, attendee_list: AttendeeList) -> None:
    for _ in range(2):
        with _reading_slowly(server, attendee_list):
            assert httpx.get(f"{server}{API}/users/me", headers=attendee_list.owner.headers).status_code == 200
        # nor does a reader that disconnected
        assert httpx.get(f"{server}{API}/users/me", headers=attendee_list.owner.headers).status_code == 200


def test_a_slow_reader_gets_the_whole_file(server: str, attendee_list: AttendeeList) -> None:
    with _reading_slowly(server, attendee_list) as chunks:
        assert sum(chunk.count(b"\n") for chunk in chunks) == 1 + BOOKINGS


def test_many_concurrent_downloads_do_not_delay_other_requests(server: str, attendee_list: AttendeeList) -> None:
    stop = threading.Event()

    def read() -> None:
        with _reading_slowly(server, attendee_list) as chunks:
            while not stop.is_set() and next(chunks, b""):
                pass

    with ThreadPoolExecutor(READERS) as readers:
        downloads = [readers.submit(read) for _ in range(READERS)]
        try:
            # each needs the only connection within the service's timeouts
            responses = [httpx.get(f"{server}{API}/users/me", headers=attendee_list.owner.headers) for _ in range(5)]
        finally:
            stop.set()

    assert [response.status_code for response in responses] == [200] * 5
    assert [download.exception() for download in downloads] == [None] * READERS


def test_clients_detect_a_truncated_file(server: str, attendee_list: AttendeeList, database: sa.Engine) -> None:
    with (
        _reading_slowly(server, attendee_list) as chunks,
        without_bookings_table(database),
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
    ):
        for _ in chunks:
            pass

    assert httpx.get(f"{server}{API}/users/me", headers=attendee_list.owner.headers).status_code == 200
