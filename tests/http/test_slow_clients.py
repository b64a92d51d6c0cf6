"""Clients that send too slowly, or leave their connections open, hold nobody up, in gunicorn alone or behind nginx."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

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
PROMPT = 5.0
# How long gunicorn waits for a request (`keepalive` in gunicorn.conf.py).
KEEPALIVE = 5.0


@pytest.fixture(scope="module")
def one_process(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gunicorn of one process, as behind one proxy."""
    environment = settings | {"WEB_CONCURRENCY": "1", "TRUSTED_PROXIES": "1"}
    with running_server(environment, tmp_path_factory.mktemp("server")) as url:
        yield url


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


@pytest.mark.parametrize(
    "sent", [HALF_A_HEADER, HALF_A_BODY, NOTHING, NO_HTTP], ids=["half a header", "half a body", "nothing", "no HTTP"]
)
def test_a_hundred_slow_clients_of_one_process_hold_nobody_up(one_process: str, sent: bytes) -> None:
    with _slow_clients(one_process, 100, sent):
        assert all(_is_answered(one_process, within=PROMPT) for _ in range(5))
    assert _is_answered(one_process, within=PROMPT)


@pytest.mark.parametrize("sent", [HALF_A_HEADER, NOTHING], ids=["half a header", "nothing"])
def test_a_client_that_does_not_come_to_the_end_of_its_header_is_hung_up_on(one_process: str, sent: bytes) -> None:
    host, port = one_process.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=KEEPALIVE + PROMPT) as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""


@needs_nginx
def test_behind_nginx_50_slow_clients_hold_nobody_up(one_process: str, tmp_path: Path) -> None:
    gunicorn_port = int(one_process.rpartition(":")[2])
    with (
        running_nginx(tmp_path, gunicorn_port) as url,
        _slow_clients(url, 50, HALF_A_HEADER, HALF_A_BODY, NOTHING, NO_HTTP),
    ):
        assert all(_is_answered(url, within=PROMPT) for _ in range(20))
