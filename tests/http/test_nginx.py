"""docs/nginx.conf: what nginx answers itself, and how it keeps its connections to gunicorn."""

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

from bookings_api.http.headers import ALWAYS, API_POLICY
from bookings_api.http.problems import UNAVAILABLE, Problem, problem_for_status
from bookings_api.local_stack.processes import ROOT, free_port
from tests.http.nginx import needs_nginx, running_nginx
from tests.http.raw import Answer, send
from tests.polling import wait_until

pytestmark = needs_nginx

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/bookings/ HTTP/1.1\r\nHost: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CONNECTIONS_OF_ONE_ADDRESS = 100


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of nginx in front of a gunicorn that is down."""
    with running_nginx(tmp_path_factory.mktemp("nginx"), free_port()) as url:
        yield url


def _assert_is_the_problem(answer: Answer | None, problem: Problem) -> None:
    """As the service would have said it."""
    assert answer is not None
    body = json.loads(answer.body)
    assert answer.status == problem.status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (body["type"], body["title"], body["code"]) == (problem.type, problem.title, problem.code)
    assert body["status"] == problem.status
    assert body["detail"]
    assert ALWAYS.items() <= dict(answer.headers).items()
    assert answer.headers["Content-Security-Policy"] == API_POLICY
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "nginx"


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
def test_what_nginx_refuses_is_a_problem_of_the_service(alone: str, request_: bytes, status: int) -> None:
    _assert_is_the_problem(send(alone, request_), problem_for_status(HTTPStatus(status)))


def test_a_service_that_is_down_is_a_503_that_says_when_to_try_again(alone: str) -> None:
    answer = send(alone, GET + b"\r\n")

    _assert_is_the_problem(answer, UNAVAILABLE)
    assert answer is not None
    assert answer.headers["Retry-After"] == "2"


def test_too_many_connections_of_one_address_are_a_429_that_says_when_to_try_again(alone: str) -> None:
    with ExitStack() as others:
        for _ in range(CONNECTIONS_OF_ONE_ADDRESS):
            connection = others.enter_context(socket.create_connection(_address(alone)))
            connection.sendall(POST + b"Content-Length: 2\r\n\r\n{")
        answers: list[Answer | None] = []

        def is_refused() -> bool:
            answers.append(send(alone, GET + b"\r\n"))
            return answers[-1] is not None and answers[-1].status != UNAVAILABLE.status

        wait_until(is_refused, seconds=10)
    _assert_is_the_problem(answers[-1], problem_for_status(HTTPStatus.TOO_MANY_REQUESTS))
    assert answers[-1] is not None
    assert answers[-1].headers["Retry-After"] == "2"


def _address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


@contextmanager
def _kept_connection(directory: Path) -> Iterator[tuple[str, socket.socket, socket.socket]]:
    """nginx, the socket behind it that takes the place of gunicorn's, and a connection that has served one request."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(20)
        with running_nginx(directory, listener.getsockname()[1]) as url:
            answer = pool.submit(httpx.get, url)
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                connection.recv(65_536)
                connection.sendall(OK)
                assert answer.result().status_code == 200
                yield url, listener, connection


def test_a_read_is_sent_again_where_gunicorn_just_closes_the_connection(tmp_path: Path) -> None:
    with _kept_connection(tmp_path) as (url, listener, connection), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.get, url)
        assert connection.recv(65_536).startswith(b"GET")
        connection.close()
        again, _ = listener.accept()
        with again:
            assert again.recv(65_536).startswith(b"GET")
            again.sendall(OK)
            assert answer.result().status_code == 200


def test_a_booking_is_not(tmp_path: Path) -> None:
    with _kept_connection(tmp_path) as (url, listener, connection), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.post, url, json={})
        assert connection.recv(65_536).startswith(b"POST")
        connection.close()

        assert answer.result().status_code == UNAVAILABLE.status
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()


def test_nginx_closes_an_idle_connection_before_gunicorn_does(tmp_path: Path) -> None:
    kept = re.search(r"^keepalive = (\d+)$", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert kept
    with _kept_connection(tmp_path) as (_, _, connection):
        connection.settimeout(int(kept[1]))
        assert connection.recv(1) == b""
