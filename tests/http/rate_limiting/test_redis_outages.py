"""Rate limits while Redis refuses connections or hangs, against real servers with a separate Redis."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from flask.testing import FlaskClient
from limits import parse

from bookings_api.http.rate_limiting.storage import KEY_PREFIX, RateLimitStorage
from bookings_api.local_stack.processes import free_port
from bookings_api.local_stack.servers import LocalStack
from tests.factories import book, make_event, make_user
from tests.service import running_server

# Half a second for Redis, plus the work itself on a busy machine.
PATIENCE_SECONDS = 0.9

Resend = Callable[[str], tuple[int, float]]


@pytest.fixture
def resend(client: FlaskClient) -> Resend:
    """Request a confirmation again from the server at a URL. Returns the status and the seconds it took."""
    user = make_user(client)
    booking = book(client, user, make_event(client)).json

    def post(url: str) -> tuple[int, float]:
        began = time.monotonic()
        path = f"/api/v1/bookings/{booking['id']}/emails"
        response = httpx.post(url + path, headers=dict(user.headers), timeout=30)
        return response.status_code, time.monotonic() - began

    return post


@contextmanager
def _server(settings: Mapping[str, str], redis_url: str, directory: Path) -> Iterator[str]:
    """A single process, so that all requests use the same counts in memory."""
    with running_server({**settings, "REDIS_URL": redis_url, "WEB_CONCURRENCY": "1"}, directory) as url:
        yield url


def test_without_redis_each_process_counts_separately(resend: Resend, settings: dict[str, str], tmp_path: Path) -> None:
    with _server(settings, f"redis://127.0.0.1:{free_port()}/0", tmp_path) as url:
        responses = [resend(url) for _ in range(5)]

    assert [status for status, _ in responses] == [202, 202, 202, 429, 429]
    assert max(seconds for _, seconds in responses) < PATIENCE_SECONDS


def test_a_hung_redis_delays_few_requests_briefly_and_is_used_again_afterwards(
    resend: Resend, settings: dict[str, str], tmp_path: Path
) -> None:
    with LocalStack(tmp_path / "stack") as stack:
        stack.start_valkey()
        valkey = stack.children[-1].pid
        with _server(settings, stack.settings["REDIS_URL"], tmp_path) as url:
            assert resend(url)[0] == 202
            os.kill(valkey, signal.SIGSTOP)
            try:
                hung = [resend(url) for _ in range(8)]
            finally:
                os.kill(valkey, signal.SIGCONT)
            deadline = time.monotonic() + 10
            while _counted(stack) < 3:
                assert time.monotonic() < deadline, "it never returned to Redis"
                resend(url)
                time.sleep(0.2)

    assert [status for status, _ in hung] == [202, 202, 202, 429, 429, 429, 429, 429]
    assert max(seconds for _, seconds in hung) < PATIENCE_SECONDS
    assert sum(seconds > 0.25 for _, seconds in hung) <= 2


def test_passwords_cannot_be_guessed_while_redis_is_unavailable(settings: dict[str, str], tmp_path: Path) -> None:
    def guess(url: str, number: int) -> tuple[int, float]:
        began = time.monotonic()
        body = {"email": "ada@example.com", "password": f"wrong {number}"}
        response = httpx.post(f"{url}/api/v1/auth/login", json=body, timeout=30)
        return response.status_code, time.monotonic() - began

    with LocalStack(tmp_path / "stack") as stack:
        stack.start_valkey()
        valkey = stack.children[-1]
        with _server(settings, stack.settings["REDIS_URL"], tmp_path) as url:
            assert guess(url, 0)[0] == 401
            os.kill(valkey.pid, signal.SIGSTOP)
            hung = [guess(url, number) for number in range(12)]
            os.kill(valkey.pid, signal.SIGCONT)
            valkey.stop()
            refused = [guess(url, number) for number in range(12)]

    assert [status for status, _ in hung] == [401] * 10 + [429] * 2
    assert {status for status, _ in refused} == {429}
    assert max(seconds for _, seconds in hung + refused) < PATIENCE_SECONDS


def test_counting_in_memory_does_not_slow_down_with_the_number_of_clients() -> None:
    storage, limit, clients = RateLimitStorage(f"redis://127.0.0.1:{free_port()}/0"), parse("3 per hour"), 10_000

    def seconds(numbers: range) -> float:
        began = time.process_time()
        for number in numbers:
            (window,) = storage.hit([limit], f"client {number}")
            assert (window.count, window.is_local) == (1, True)
        return time.process_time() - began

    few, many = seconds(range(clients)), seconds(range(clients, 2 * clients))

    assert many < 20 * few  # a hundred times as much if each request looked at all counts


def _counted(stack: LocalStack) -> int:
    """The highest count in Redis."""
    with redis.Redis.from_url(stack.settings["REDIS_URL"], decode_responses=True) as connection:
        keys: Any = connection.keys(f"{KEY_PREFIX}:*")
        return max((int(str(connection.get(key))) for key in keys), default=0)
