"""docs/nginx.conf: responses from nginx itself and its connections to gunicorn."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from bookings_api.http.headers import API_POLICY, SECURITY_HEADERS
from bookings_api.http.problems import UNAVAILABLE, Problem, problem_for_status
from bookings_api.local_stack.processes import ROOT, free_port
from tests.http.nginx import needs_nginx, running_nginx
from tests.http.raw import RawResponse, send
from tests.polling import wait_until

pytestmark = needs_nginx

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/bookings/ HTTP/1.1\r\nHost: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CONNECTIONS_PER_ADDRESS = 100


@pytest.fixture(scope="module")
def nginx_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of nginx in front of a gunicorn that is down."""
    with running_nginx(tmp_path_factory.mktemp("nginx"), free_port()) as url:
        yield url


def _assert_is_problem(response: RawResponse | None, problem: Problem) -> None:
    """Check that the response looks like one from the service."""
    assert response is not None
    body = json.loads(response.body)
    assert response.status == problem.status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (body["type"], body["title"], body["code"]) == (problem.type, problem.title, problem.code)
    assert body["status"] == problem.status
    assert body["detail"]
    assert SECURITY_HEADERS.items() <= dict(response.headers).items()
    assert response.headers["Content-Security-Policy"] == API_POLICY
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Server"] == "nginx"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (POST + b"Content-Length: two\r\n\r\n{}", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /problem HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (POST + b"Content-Length: 300000\r\n\r\n", 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n493e0\r\n" + b" " * 300_000, 413),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (GET + b"X: " + b"x" * 9_000 + b"\r\n\r\n", 431),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 505),
    ],
    ids=lambda value: ascii(value)[:40] if isinstance(value, bytes) else None,
)
def test_requests_refused_by_nginx_return_the_services_problems(nginx_alone: str, request_: bytes, status: int) -> None:
    _assert_is_problem(send(nginx_alone, request_), problem_for_status(HTTPStatus(status)))


def test_nginx_returns_503_with_retry_after_while_the_service_is_down(nginx_alone: str) -> None:
    response = send(nginx_alone, GET + b"\r\n")

    _assert_is_problem(response, UNAVAILABLE)
    assert response is not None
    assert response.headers["Retry-After"] == "2"


def test_too_many_connections_from_one_address_return_429_with_retry_after(nginx_alone: str) -> None:
    with ExitStack() as others:
        for _ in range(CONNECTIONS_PER_ADDRESS):
            connection = others.enter_context(socket.create_connection(_address(nginx_alone)))
            connection.sendall(POST + b"Content-Length: 2\r\n\r\n{")
        responses: list[RawResponse | None] = []

        def is_refused() -> bool:
            responses.append(send(nginx_alone, GET + b"\r\n"))
            return responses[-1] is not None and responses[-1].status != UNAVAILABLE.status

        wait_until(is_refused, seconds=10)
    _assert_is_problem(responses[-1], problem_for_status(HTTPStatus.TOO_MANY_REQUESTS))
    assert responses[-1] is not None
    assert responses[-1].headers["Retry-After"] == "2"


def _address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


@contextmanager
def _idle_connection(directory: Path) -> Iterator[tuple[str, socket.socket, socket.socket]]:
    """URL of nginx, a socket in place of gunicorn's, and a connection to it that has served one request."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(20)
        with running_nginx(directory, listener.getsockname()[1]) as url:
            response = pool.submit(httpx.get, url)
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                connection.recv(65_536)
                connection.sendall(OK)
                assert response.result().status_code == 200
                yield url, listener, connection


def test_a_read_is_retried_if_gunicorn_closes_the_connection(tmp_path: Path) -> None:
    with _idle_connection(tmp_path) as (url, listener, connection), ThreadPoolExecutor(1) as pool:
        response = pool.submit(httpx.get, url)
        assert connection.recv(65_536).startswith(b"GET")
        connection.close()
        retry, _ = listener.accept()
        with retry:
            assert retry.recv(65_536).startswith(b"GET")
            retry.sendall(OK)
            assert response.result().status_code == 200


def test_nginx_keeps_etags_usable_in_if_match(tmp_path: Path) -> None:
    body = b'{"title": "Schubert by Candlelight"}'
    head = f'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: "1"\r\nContent-Length: {len(body)}\r\n\r\n'
    with _idle_connection(tmp_path) as (url, _, connection), ThreadPoolExecutor(1) as pool:
        response = pool.submit(httpx.get, url, headers={"Accept-Encoding": "gzip"})
        assert connection.recv(65_536).startswith(b"GET")
        connection.sendall(head.encode() + body)

        assert response.result().headers["ETag"] == '"1"'


def test_a_booking_is_not_retried_if_gunicorn_closes_the_connection(tmp_path: Path) -> None:
    with _idle_connection(tmp_path) as (url, listener, connection), ThreadPoolExecutor(1) as pool:
        response = pool.submit(httpx.post, url, json={})
        assert connection.recv(65_536).startswith(b"POST")
        connection.close()

        assert response.result().status_code == UNAVAILABLE.status
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_nginx_closes_an_idle_connection_before_gunicorn_does(tmp_path: Path) -> None:
    keepalive = re.search(r"^keepalive = (\d+)$", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert keepalive
    with _idle_connection(tmp_path) as (_, _, connection):
        connection.settimeout(int(keepalive[1]))
        assert connection.recv(1) == b""
