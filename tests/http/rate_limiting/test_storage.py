"""Counts shared in Redis, and the fallback to memory."""

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis
from flask import Flask
from limits import parse, parse_many

from bookings_api.http.rate_limiting import storage as module
from bookings_api.http.rate_limiting.storage import KEY_PREFIX, RateLimitStorage, Window
from bookings_api.local_stack.servers import LocalStack
from bookings_api.redis_client import connect


@pytest.fixture
def url(app: Flask) -> str:
    redis_url: str = app.config["REDIS_URL"]
    return redis_url


@pytest.fixture
def client() -> str:
    """Each test counts its own client."""
    return str(uuid4())


def _hit(storage: RateLimitStorage, client: str, limit: str = "3 per minute") -> Window:
    (window,) = storage.hit([parse(limit)], client)
    return window


def test_processes_share_their_counts(url: str, client: str) -> None:
    one, other = RateLimitStorage(url), RateLimitStorage(url)

    counts = [_hit(storage, client).count for storage in (one, other, one)]
    other.give_back([_hit(other, client)])

    assert counts == [1, 2, 3]
    assert _hit(one, client).count == 4
    assert [storage.is_local for storage in (one, other)] == [False, False]


def test_counting_does_not_extend_a_window(url: str, client: str) -> None:
    storage, limit = RateLimitStorage(url), "3 per 2 seconds"

    first = _hit(storage, client, limit)
    storage.give_back([first])
    later = [_hit(storage, client, limit) for _ in range(5)]

    assert all(abs(window.ends_at - first.ends_at) < 0.5 for window in later)
    assert first.seconds_left in {1, 2}


def test_a_request_that_outlasts_its_window_does_not_reduce_the_next_count(url: str, client: str) -> None:
    storage, limit = RateLimitStorage(url), "3 per second"
    window = _hit(storage, client, limit)

    while (following := _hit(storage, client, limit)).count > 1:
        pass
    storage.give_back([window])

    assert following.ends_at > window.ends_at
    assert _hit(storage, client, limit).count == 2


def test_a_count_in_memory_is_not_subtracted_from_redis(url: str, client: str) -> None:
    in_redis, in_memory = RateLimitStorage(url), RateLimitStorage("redis://127.0.0.1:1/0")
    window = _hit(in_memory, client)

    in_redis.give_back([window])

    assert window.is_local
    assert _hit(in_redis, client).count == 1


def test_a_connection_that_redis_closed_is_replaced_and_counting_stays_in_redis(url: str, client: str) -> None:
    storage = RateLimitStorage(url)
    _hit(storage, client)
    with redis.Redis.from_url(url) as connection:
        for entry in connection.client_list():  # only this test uses this database
            if entry["cmd"] == "evalsha" and entry["db"] == str(connection.get_connection_kwargs()["db"]):
                connection.client_kill_filter(_id=entry["id"])

    assert _hit(storage, client).count == 2
    assert not storage.is_local


def test_a_command_that_redis_rejects_is_logged_as_an_error_and_counted_in_memory(
    url: str, client: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis.Redis.from_url(url) as connection:
        connection.rpush(f"{KEY_PREFIX}:{parse('3 per minute').key_for(client)}", "a list is not a count")
    storage = RateLimitStorage(url)

    counts = [_hit(storage, client).count for _ in range(4)]

    assert counts == [1, 2, 3, 4]
    assert storage.is_local
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "WRONGTYPE" in caplog.text


@pytest.mark.parametrize(
    "command", [["CONFIG", "SET", "maxmemory", 1], ["REPLICAOF", "127.0.0.1", 1]], ids=["full", "replica"]
)
def test_a_full_or_read_only_redis_is_logged_as_a_warning(
    command: list[Any], client: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with LocalStack(tmp_path) as stack:
        stack.start_valkey()
        with redis.Redis.from_url(stack.settings["REDIS_URL"]) as connection:
            connection.execute_command(*command)
        storage = RateLimitStorage(stack.settings["REDIS_URL"])

        counts = [_hit(storage, client).count for _ in range(4)]

    assert counts == [1, 2, 3, 4]
    assert [record.levelname for record in caplog.records if record.name == module.__name__] == ["WARNING"]


def test_redis_is_used_again_after_many_failures(client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    attempts = 1100  # more than the maximum size of the pool
    with LocalStack(tmp_path) as stack:
        valkey = stack.start_valkey()
        storage = RateLimitStorage(stack.settings["REDIS_URL"])
        with redis.Redis.from_url(stack.settings["REDIS_URL"]) as connection:
            connection.config_set("maxmemory", 1)
            assert all(_hit(storage, client).is_local for _ in range(attempts))
            connection.config_set("maxmemory", 0)
        assert not _hit(storage, client).is_local
        valkey.stop()
        assert all(_hit(storage, client).is_local for _ in range(attempts))
        stack.start_valkey(urlsplit(stack.settings["REDIS_URL"]).port)

        assert not _hit(storage, client).is_local


def test_tls_connections_verify_the_server() -> None:
    connected = connect("rediss://redis.example.com:6379/0")

    connection: Any = connected.connection_pool.make_connection()
    assert (connection.cert_reqs, connection.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_request_that_waits_long_for_slow_replies_is_counted_in_memory(url: str, client: str) -> None:
    limits = parse_many("60 per minute; 120 per hour")
    with _slow_proxy(url, seconds=0.2) as slow_url:
        windows = RateLimitStorage(slow_url).hit(limits, client)

    assert [window.is_local for window in windows] == [True, True]


@contextmanager
def _slow_proxy(url: str, *, seconds: float) -> Iterator[str]:
    """Run a proxy in front of Redis that delays each reply. Yields its URL."""
    redis_at = urlsplit(url)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((redis_at.hostname, redis_at.port)) as server:
                while data := self.request.recv(65536):
                    server.sendall(data)
                    reply = server.recv(65536)
                    time.sleep(seconds)
                    self.request.sendall(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            port = proxy.server_address[1]
            yield url.replace(f"{redis_at.hostname}:{redis_at.port}", f"127.0.0.1:{port}")
        finally:
            proxy.shutdown()
