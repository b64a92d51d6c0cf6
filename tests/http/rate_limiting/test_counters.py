"""Counts that all processes share in Redis."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from flask import Flask
from limits import parse

from bookings_api.http.rate_limiting.counters import KEY_PREFIX, Counters
from bookings_api.local_stack.servers import LocalStack

THREE_A_MINUTE = parse("3 per minute")


@pytest.fixture
def url(app: Flask) -> str:
    redis_url: str = app.config["REDIS_URL"]
    return redis_url


@pytest.fixture
def key() -> str:
    return f"{KEY_PREFIX}:{uuid4()}"


def test_two_processes_share_one_limit(url: str, key: str) -> None:
    one, other = Counters(url), Counters(url)

    counted = [counters.count({key: THREE_A_MINUTE})[0] for counters in (one, other, one, other, one)]
    other.give_back([key])

    assert counted == [True, True, True, False, False]
    assert one.count({key: THREE_A_MINUTE})[0]
    assert [counters.is_alone for counters in (one, other)] == [False, False]


def test_what_redis_refuses_for_our_mistake_is_an_error_in_the_log_and_counted_all_the_same(
    url: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis.Redis.from_url(url) as connection:
        connection.rpush(key, "a list is no count")
    counters = Counters(url)

    counted = [counters.count({key: THREE_A_MINUTE})[0] for _ in range(4)]

    assert counted == [True, True, True, False]
    assert counters.is_alone
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "WRONGTYPE" in caplog.text


@pytest.mark.parametrize(
    "command", [["CONFIG", "SET", "maxmemory", 1], ["REPLICAOF", "127.0.0.1", 1]], ids=["full", "replica"]
)
def test_a_redis_that_is_full_or_a_replica_is_nobodys_mistake(
    command: list[Any], key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with LocalStack(tmp_path) as stack:
        stack.start_valkey()
        with redis.Redis.from_url(stack.settings["REDIS_URL"]) as connection:
            connection.execute_command(*command)
        counters = Counters(stack.settings["REDIS_URL"])

        counted = [counters.count({key: THREE_A_MINUTE})[0] for _ in range(4)]

    assert counted == [True, True, True, False]
    assert [record.levelname for record in caplog.records if record.name.endswith("counters")] == ["WARNING"]
