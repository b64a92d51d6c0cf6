"""Counts that all processes share in Redis. While Redis is unavailable, each process counts in its own memory."""

import logging
import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

from limits import RateLimitItem
from limits.storage import MemoryStorage
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry
from redis.sentinel import Sentinel

logger = logging.getLogger(__name__)

KEY_PREFIX = "bookings_api:limits"
# After a failure all requests count in memory this long; then one of them tries Redis again.
PAUSE_SECONDS = 2

# Connecting may take this long, and so may the reply: half a second in all.
_BRIEFLY = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25, "retry": Retry(NoBackoff(), 0)}


def connect(redis_url: str) -> Redis:
    """Return a client that neither waits long nor retries, for any form of `REDIS_URL`."""
    # As many as gunicorn's worker_connections: by default redis-py refuses the 101st.
    options: dict[str, Any] = {**_BRIEFLY, "max_connections": 1000}
    url = urlsplit(redis_url)
    if url.scheme != "redis+sentinel":
        return Redis.from_url(redis_url, **options)
    service, _, database = url.path.strip("/").partition("/")
    # Only Redis asks for the user and password; Sentinels do not.
    options |= {"username": unquote(url.username or "") or None, "password": unquote(url.password or "") or None}
    sentinels = [host.split(":") for host in url.netloc.rpartition("@")[2].split(",")]
    sentinel = Sentinel(sentinels, sentinel_kwargs=_BRIEFLY, db=int(database or 0), **options)  # type: ignore[no-untyped-call]
    master: Redis = sentinel.master_for(unquote(service))  # type: ignore[no-untyped-call]
    return master


@dataclass(frozen=True)
class Window:
    """How often a limit has been used, and when its count starts over."""

    key: str
    item: RateLimitItem
    count: int
    ends_at: float
    is_local: bool

    @cached_property
    def seconds_left(self) -> int:
        """Computed once, so that all headers agree."""
        return max(1, math.ceil(self.ends_at - time.time()))


class RateLimitStorage:
    """Fixed windows, each starting with the first request that counts in it."""

    def __init__(self, redis_url: str) -> None:
        self.is_local = False
        self._redis = connect(redis_url)
        self._retry_at = 0.0

    @cached_property
    def _memory(self) -> MemoryStorage:
        """Made on first use: it starts a thread, which would not survive gunicorn's fork."""
        return MemoryStorage()

    def add(self, amount: int, items: dict[str, RateLimitItem]) -> list[Window]:
        """Add to the count under each key."""
        now = time.monotonic()
        if now >= self._retry_at:
            if self.is_local:  # only this request tries Redis
                self._retry_at = now + PAUSE_SECONDS
            try:
                windows = self._add_in_redis(amount, items)
            except RedisError as error:
                self._fall_back(error)
            else:
                if self.is_local:
                    self.is_local, self._retry_at = False, 0.0
                    logger.info("rate limits are counted in Redis again")
                return windows
        memory = self._memory
        return [
            Window(key, item, memory.incr(key, item.get_expiry(), amount), memory.get_expiry(key), is_local=True)
            for key, item in items.items()
        ]

    def give_back(self, windows: list[Window]) -> None:
        """Subtract one from each count, unless its window is over or it is kept where counting no longer happens."""
        now = time.time()
        items = {each.key: each.item for each in windows if each.ends_at > now and each.is_local == self.is_local}
        if items:
            self.add(-1, items)

    def _add_in_redis(self, amount: int, items: dict[str, RateLimitItem]) -> list[Window]:
        """Use one round trip; the library's own storage takes two per limit."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for key, item in items.items():
                name = f"{KEY_PREFIX}:{key}"
                pipeline.incrby(name, amount)
                pipeline.expire(name, item.get_expiry(), nx=True)
                pipeline.pttl(name)
            replies = pipeline.execute()
        return [
            Window(key, item, count, time.time() + milliseconds / 1000, is_local=False)
            for (key, item), count, milliseconds in zip(items.items(), replies[::3], replies[2::3], strict=True)
        ]

    def _fall_back(self, error: RedisError) -> None:
        self._retry_at = time.monotonic() + PAUSE_SECONDS
        # redis-py has classes for Redis being full, read-only and the like; other refusals are mistakes.
        if type(error) is ResponseError:
            logger.error("rate limits are counted in memory, Redis refuses the command: %s", error)
        elif not self.is_local:
            logger.warning("rate limits are counted in memory, Redis is unavailable: %s", type(error).__name__)
        self.is_local = True
