"""Slow clients and idle connections delay no other client, with or without nginx."""

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
INVALID_HTTP = b"NONSENSE\r\n\r\n"

# A response takes a few milliseconds; the rest is for a busy machine.
PROMPT = 5.0
# How long gunicorn waits for a request (`keepalive` in gunicorn.conf.py).
KEEPALIVE = 5.0


@pytest.fixture(scope="module")
def one_process(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of gunicorn with one process and one trusted proxy."""
    environment = settings | {"WEB_CONCURRENCY": "1", "TRUSTED_PROXIES": "1"}
    with running_server(environment, tmp_path_factory.mktemp("server")) as url:
        yield url


@contextmanager
def _slow_clients(url: str, count: int, *sent: bytes) -> Iterator[None]:
    """Open `count` connections that each send one of `sent` in turn, then stay idle."""
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as connections:
        for number in range(count):
            connection = connections.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(sent[number % len(sent)])
        yield


def _responds(url: str, *, within: float) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=within).status_code == 200
    except httpx.ReadTimeout:
        return False


@pytest.mark.parametrize(
    "sent",
    [HALF_A_HEADER, HALF_A_BODY, NOTHING, INVALID_HTTP],
    ids=["half a header", "half a body", "nothing", "invalid HTTP"],
)
def test_100_slow_clients_of_one_process_do_not_delay_others(one_process: str, sent: bytes) -> None:
    with _slow_clients(one_process, 100, sent):
        assert all(_responds(one_process, within=PROMPT) for _ in range(5))
    assert _responds(one_process, within=PROMPT)


@pytest.mark.parametrize("sent", [HALF_A_HEADER, NOTHING], ids=["half a header", "nothing"])
def test_a_client_that_does_not_finish_its_header_is_disconnected(one_process: str, sent: bytes) -> None:
    host, port = one_process.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=KEEPALIVE + PROMPT) as connection:
        connection.sendall(sent)
        assert connection.recv(1) == b""


@needs_nginx
def test_50_slow_clients_behind_nginx_do_not_delay_others(one_process: str, tmp_path: Path) -> None:
    gunicorn_port = int(one_process.rpartition(":")[2])
    with (
        running_nginx(tmp_path, gunicorn_port) as url,
        _slow_clients(url, 50, HALF_A_HEADER, HALF_A_BODY, NOTHING, INVALID_HTTP),
    ):
        assert all(_responds(url, within=PROMPT) for _ in range(20))
