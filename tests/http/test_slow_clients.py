"""Clients that send too slowly, or leave their connections open: whom they hold up, in gunicorn alone and behind nginx.

The first part is what docs/security.md warns of. A gunicorn that passes no longer is news to be written there.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from bookings_api.local_stack.processes import ROOT
from tests.factories import API
from tests.http.nginx import needs_nginx, running_nginx
from tests.service import running_server

pytestmark = pytest.mark.long

HALF_A_HEADER = f"GET {API}/events/ HTTP/1.1\r\nHost: localhost\r\nX-Slow".encode()
HALF_A_BODY = (
    f"POST {API}/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    'Content-Length: 100\r\n\r\n{"email'
).encode()
NOTHING = b""
NO_HTTP = b"NONSENSE\r\n\r\n"

# What is answered at all takes a few milliseconds; the machine may be busy.
PROMPT, HELD_UP = 5.0, 1.5


@pytest.fixture(scope="module")
def one_process(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gunicorn of one process, as behind one proxy."""
    environment = settings | {"WEB_CONCURRENCY": "1", "TRUSTED_PROXIES": "1"}
    with running_server(environment, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="module")
def threads() -> int:
    """How many requests a process serves at once."""
    setting = re.search(r"^threads = (\d+)$", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert setting
    return int(setting[1])


@contextmanager
def _slow_clients(url: str, count: int, *sent: bytes) -> Iterator[None]:
    """So many connections on which each of `sent` was sent, in turn, and no more."""
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as connections:
        for number in range(count):
            connection = connections.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(sent[number % len(sent)])
        yield


def _is_answered(url: str, *, within: float) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=within).status_code == 200
    except httpx.ReadTimeout:
        return False


@pytest.mark.parametrize("sent", [HALF_A_HEADER, HALF_A_BODY], ids=["half a header", "half a body"])
def test_gunicorn_alone_is_stopped_by_as_many_slow_clients_as_it_has_threads(
    one_process: str, threads: int, sent: bytes
) -> None:
    with _slow_clients(one_process, threads - 1, sent):
        assert _is_answered(one_process, within=PROMPT)
        with _slow_clients(one_process, 1, sent):
            assert not _is_answered(one_process, within=HELD_UP)
        assert _is_answered(one_process, within=PROMPT)


def test_gunicorn_alone_waits_five_seconds_for_silent_clients_and_goes_on(one_process: str, threads: int) -> None:
    with _slow_clients(one_process, threads, NOTHING):
        assert not _is_answered(one_process, within=HELD_UP)
        assert _is_answered(one_process, within=5 + PROMPT)


def test_gunicorn_alone_is_held_up_by_refused_clients_that_do_not_hang_up(one_process: str) -> None:
    with _slow_clients(one_process, 3, NO_HTTP):
        assert not _is_answered(one_process, within=HELD_UP)
        assert _is_answered(one_process, within=6 + PROMPT)


@needs_nginx
def test_behind_nginx_50_slow_clients_hold_nobody_up(one_process: str, tmp_path: Path) -> None:
    gunicorn_port = int(one_process.rpartition(":")[2])
    with (
        running_nginx(tmp_path, gunicorn_port) as url,
        _slow_clients(url, 50, HALF_A_HEADER, HALF_A_BODY, NOTHING, NO_HTTP),
    ):
        assert all(_is_answered(url, within=PROMPT) for _ in range(20))
