"""How Redis is spoken to."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from flask import Flask

from bookings_api.http.rate_limiting.redis_client import Script, ScriptRunner, connect
from bookings_api.local_stack.servers import LocalStack

DOUBLE = Script("return 2 * tonumber(ARGV[1])")


def test_whom_tls_connects_to_is_verified() -> None:
    client = connect("rediss://redis.example.com:6379/0")

    connection: Any = client.connection_pool.make_connection()
    assert (connection.cert_reqs, connection.check_hostname) == (ssl.CERT_REQUIRED, True)


def _forget_scripts(client: redis.Redis) -> None:
    client.script_flush()


def _hang_up(client: redis.Redis) -> None:
    """On the connections that ran a script last; other tests have theirs."""
    for entry in client.client_list():
        if entry["cmd"] in {"evalsha", "eval"} and entry["db"] == str(client.get_connection_kwargs()["db"]):
            client.client_kill_filter(_id=entry["id"])


@pytest.mark.parametrize("harm", [_forget_scripts, _hang_up])
def test_a_script_runs_again_after_redis_has_forgotten_it_or_hung_up(
    app: Flask, harm: Callable[[redis.Redis], None]
) -> None:
    run = ScriptRunner(connect(app.config["REDIS_URL"]))
    assert run(DOUBLE, [], [21]) == 42
    with redis.Redis.from_url(app.config["REDIS_URL"]) as client:
        harm(client)

    assert run(DOUBLE, [], [4]) == 8


def test_a_script_that_fails_is_an_error_and_the_next_one_runs(app: Flask) -> None:
    run = ScriptRunner(connect(app.config["REDIS_URL"]))
    with pytest.raises(redis.ResponseError):
        run(Script("return redis.call('NO SUCH COMMAND')"), [])

    assert run(DOUBLE, [], [1]) == 2


def test_however_often_redis_was_away_or_refused_it_is_asked_again_afterwards(app: Flask, tmp_path: Path) -> None:
    many = 150
    with LocalStack(tmp_path) as stack:
        valkey = stack.start_valkey()
        run = ScriptRunner(connect(stack.settings["REDIS_URL"]))
        for _ in range(many):
            with pytest.raises(redis.ResponseError):
                run(Script("return redis.call('NO SUCH COMMAND')"), [])
        assert run(DOUBLE, [], [1]) == 2
        valkey.stop()
        for _ in range(many):
            with pytest.raises(redis.ConnectionError):
                run(DOUBLE, [], [1])
        stack.start_valkey(urlsplit(stack.settings["REDIS_URL"]).port)
        assert run(DOUBLE, [], [2]) == 4
