"""The way to Redis of what counts and of what looks whether it is there; Celery has its own (`celery_app`)."""

import hashlib
import ssl
from collections.abc import Sequence
from typing import Any

from redis import ConnectionError as Lost
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

REDIS_TIMEOUT_SECONDS = 0.25
# Connections of one process that wait for their next use.
MAX_IDLE = 32


def connect(redis_url: str) -> Redis:
    """A client that talks to Redis briefly, and never with an unverified server."""
    verified = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    options: dict[str, Any] = verified if redis_url.startswith("rediss:") else {}
    return Redis.from_url(
        redis_url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),  # the default is three more tries, seconds apart
        **options,
    )


class Script:
    """A Lua script, which Redis keeps by its SHA-1."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class ScriptRunner:
    """Runs scripts over connections of its own: the client's pool takes longer than Redis does.

    Raises `RedisError` as the client does. A connection that was lost since it was last used is made anew, and the
    script run again, which may have run before.
    """

    def __init__(self, redis: Redis) -> None:
        # not the pool's own way, which counts what it ever made, and stops at some number
        self._connection_class = redis.connection_pool.connection_class
        self._options = redis.connection_pool.connection_kwargs
        self._idle: list[Any] = []

    def __call__(self, script: Script, keys: Sequence[str], arguments: Sequence[int] = ()) -> Any:
        while (connection := self._idle_one()) is not None:
            try:
                return self._run(connection, script, keys, arguments)
            except Lost:
                continue
        return self._run(self._connection_class(**self._options), script, keys, arguments)

    def _idle_one(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _run(self, connection: Any, script: Script, keys: Sequence[str], arguments: Sequence[int]) -> Any:
        is_of_use = False
        try:
            try:
                connection.send_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
                answer = connection.read_response()
            except NoScriptError:
                connection.send_command("EVAL", script.text, len(keys), *keys, *arguments)
                answer = connection.read_response()
            is_of_use = len(self._idle) < MAX_IDLE
        finally:  # one that met an error is left, whatever state it is in
            if is_of_use:
                self._idle.append(connection)
            else:
                connection.disconnect()
        return answer
