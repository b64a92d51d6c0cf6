"""Counts requests in Redis, across all processes. While Redis is unavailable, each process counts in memory."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from limits import RateLimitItem
from limits.storage import MemoryStorage, RedisStorage
from redis import RedisError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bookings_api.redis_client import connect

logger = logging.getLogger(__name__)

KEY_PREFIX = "bookings_api:limits"
# How long requests are counted in memory after a failure. Then one request tries Redis again.
PAUSE_SECONDS = 2
# How long a request waits for Redis in total before it is counted in memory.
PATIENCE_SECONDS = 0.25
MAX_REMEMBERED = 10_000
# `RedisStorage` reports the end of a window rounded to the nearest second.
_ROUNDING_SECONDS = 0.5


@dataclass
class Window:
    """A rate-limit window: how many requests it has counted, and when it ends (a Unix time)."""

    key: str
    item: RateLimitItem
    count: int
    ends_at: float
    is_local: bool
    is_given_back: bool = False

    @property
    def remaining(self) -> int:
        return max(0, self.item.amount - self.count)

    @cached_property
    def seconds_left(self) -> int:
        """The number of seconds until the window ends, rounded up. Computed only once, so that all headers agree."""
        seconds = math.ceil(self.ends_at + _ROUNDING_SECONDS - time.time())
        return min(max(1, seconds), self.item.get_expiry())


class RateLimitStorage:
    """Counts requests in fixed windows. A window starts with its first request."""

    def __init__(self, redis_url: str) -> None:
        self.is_local = False
        pool = connect(redis_url).connection_pool
        self._redis = RedisStorage("redis://", connection_pool=pool, key_prefix=KEY_PREFIX)
        self._retry_at = 0.0
        # the cached ends of windows in Redis, which save most requests a round trip
        self._ends_at: dict[str, float] = {}

    @cached_property
    def _memory(self) -> MemoryStorage:
        """The counts in memory. Created on first use, because the storage's thread does not survive gunicorn's fork."""
        return MemoryStorage()

    def hit(self, items: Sequence[RateLimitItem], *identifiers: str) -> list[Window]:
        """Count a request in each limit's window. Falls back to counting in memory if Redis fails."""
        now = time.monotonic()
        if now >= self._retry_at:
            if self.is_local:  # only this request tries Redis
                self._retry_at = now + PAUSE_SECONDS
            try:
                until = now + PATIENCE_SECONDS
                windows = [self._hit(item, identifiers, until=until) for item in items]
            except RedisError as error:
                self._fall_back(error)
            else:
                if self.is_local:
                    self.is_local, self._retry_at = False, 0.0
                    logger.info("rate limits are counted in Redis again")
                return windows
        return [self._hit_locally(item, identifiers) for item in items]

    def give_back(self, windows: Sequence[Window]) -> None:
        """Subtract a request. Skips windows that may have ended or were counted before a switch to or from Redis."""
        for window in windows:
            window.count -= 1
            window.is_given_back = True
            if window.is_local == self.is_local and time.time() < window.ends_at - _ROUNDING_SECONDS:
                storage = self._memory if self.is_local else self._redis
                try:
                    storage.incr(window.key, window.item.get_expiry(), amount=-1)
                except RedisError as error:
                    self._fall_back(error)

    def _hit(self, item: RateLimitItem, identifiers: Sequence[str], *, until: float) -> Window:
        """Count a request in Redis, usually in one round trip. The library's own strategies need three."""
        key, seconds = item.key_for(*identifiers), item.get_expiry()
        count = self._redis.incr(key, seconds)
        if time.monotonic() > until:
            raise RedisTimeoutError
        now, ends_at = time.time(), self._ends_at.get(key, 0.0)
        if count == 1 or ends_at <= now:
            ends_at = now + seconds if count == 1 else self._redis.get_expiry(key)
            if len(self._ends_at) >= MAX_REMEMBERED:
                self._ends_at.clear()
            self._ends_at[key] = ends_at
        return Window(key, item, count, ends_at, is_local=False)

    def _hit_locally(self, item: RateLimitItem, identifiers: Sequence[str]) -> Window:
        key = item.key_for(*identifiers)
        count = self._memory.incr(key, item.get_expiry())
        return Window(key, item, count, self._memory.get_expiry(key), is_local=True)

    def _fall_back(self, error: RedisError) -> None:
        self._retry_at = time.monotonic() + PAUSE_SECONDS
        # a plain ResponseError means a mistake in the setup; redis-py has subclasses for a full or read-only Redis
        if type(error) is ResponseError:
            logger.error("rate limits are counted in memory because Redis refuses the command: %s", error)
        elif not self.is_local:
            logger.warning("rate limits are counted in memory because Redis is unavailable: %s", type(error).__name__)
        self.is_local = True
