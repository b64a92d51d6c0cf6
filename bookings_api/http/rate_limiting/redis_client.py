"""The way to Redis of what counts and of what looks whether it is there; Celery has its own (`celery_app`)."""

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from redis import ConnectionError as Lost
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry
from redis.sentinel import Sentinel

REDIS_TIMEOUT_SECONDS = 0.25
# Connections of one process that wait for their next use.
MAX_IDLE = 32


@dataclass(frozen=True)
class SentinelUrl:
    """`redis+sentinel://[user:password@]host:26379,host:26379/service/0`, as the libraries of limits write it.

    User and password are those of Redis; Sentinels are asked without.
    """

    sentinels: list[tuple[str, int]]
    service: str
    database: int
    login: str  # as it stands in the URL, with its @

    @classmethod
    def parse(cls, url: str) -> Self | None:
        """None for a URL that leads to Redis itself."""
        parts = urlsplit(url)
        if parts.scheme != "redis+sentinel":
            return None
        login, at, hosts = parts.netloc.rpartition("@")
        service, _, database = parts.path.strip("/").partition("/")
        sentinels = [(host, int(port)) for host, _, port in (host.partition(":") for host in hosts.split(","))]
        return cls(sentinels, unquote(service), int(database or 0), login + at)

    @property
    def credentials(self) -> dict[str, str | None]:
        user, _, password = self.login.removesuffix("@").partition(":")
        return {"username": unquote(user) or None, "password": unquote(password) or None}


def connect(redis_url: str) -> Redis:
    """A client that talks to Redis briefly, and never with an unverified server."""
    briefly: dict[str, Any] = {
        "socket_timeout": REDIS_TIMEOUT_SECONDS,
        "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # the default is three more tries, seconds apart
    }
    if url := SentinelUrl.parse(redis_url):
        options = {"sentinel_kwargs": briefly, "db": url.database, **url.credentials, **briefly}
        sentinel = Sentinel(url.sentinels, **options)  # type: ignore[no-untyped-call]
        master: Redis = sentinel.master_for(url.service)  # type: ignore[no-untyped-call]
        return master
    verified = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    return Redis.from_url(redis_url, **briefly, **(verified if redis_url.startswith("rediss:") else {}))


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
        connection = self._connection_class(**self._options)
        connection.connect()  # the first command would do it, but ask no Sentinel where
        return self._run(connection, script, keys, arguments)

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
