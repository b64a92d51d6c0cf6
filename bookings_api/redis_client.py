"""Creates Redis clients from `REDIS_URL`, which may list Sentinels."""

import select
from typing import Any
from urllib.parse import unquote, urlsplit

from gevent import monkey
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import DefaultParser, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

# By default, the client retries three times, with growing pauses.
NO_RETRY: dict[str, Any] = {"retry": Retry(NoBackoff(), 0)}
_poll = monkey.get_original("select", "poll")


class _Parser(DefaultParser):  # type: ignore[misc, valid-type] # redis-py chooses the class when imported
    """A parser that checks connections with the unpatched `poll`, because gevent's `poll` runs other requests first."""

    def can_read(self, timeout: float = 0) -> bool:
        poller = _poll()
        poller.register(self._sock, select.POLLIN)
        return bool(timeout or poller.poll(0)) and super().can_read(timeout)


# Timeouts for connecting and for each reply, in seconds.
_BRIEFLY = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25, **NO_RETRY}


def connect(redis_url: str) -> Redis:
    """Return a client with short timeouts and no retries. `redis_url` can have any form that `REDIS_URL` accepts."""
    # As many connections as gunicorn's worker_connections; redis-py's default is 100.
    options: dict[str, Any] = {**_BRIEFLY, "parser_class": _Parser, "max_connections": 1000}
    service, urls = split_sentinel_url(redis_url)
    if service is None:
        return Redis.from_url(redis_url, **options)
    servers = [parse_url(url) for url in urls]  # type: ignore[no-untyped-call] # redis-py's
    sentinels = [(server.pop("host"), server.pop("port")) for server in servers]
    # The user and password are for Redis itself. Sentinels are contacted without credentials.
    options |= servers[0]
    sentinel = Sentinel(sentinels, sentinel_kwargs=_BRIEFLY, **options)  # type: ignore[no-untyped-call] # redis-py's
    master: Redis = sentinel.master_for(service)  # type: ignore[no-untyped-call] # redis-py's
    return master


def split_sentinel_url(redis_url: str) -> tuple[str | None, list[str]]:
    """Split a `redis+sentinel://` URL into the name of the monitored service and a `redis://` URL for each Sentinel.

    For a URL with any other scheme, returns None and a list of just that URL.
    """
    url = urlsplit(redis_url)
    if url.scheme != "redis+sentinel":
        return None, [redis_url]
    login, at, hosts = url.netloc.rpartition("@")
    service, _, database = url.path.strip("/").partition("/")
    return unquote(service), [f"redis://{login}{at}{host}/{database or 0}" for host in hosts.split(",")]
