"""Counts in Redis for all processes together; while Redis is away, each process counts for itself.

Nobody waits long for Redis: the request that finds it silent gives it a moment (`redis_client`), and from then on one
request now and then looks whether it is back, after 1, 2, 4, 5, 5 ... seconds. All others count in memory at once.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from limits import RateLimitItem
from redis import RedisError
from redis.exceptions import ResponseError

from bookings_api.http.rate_limiting.redis_client import Script, ScriptRunner, connect

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_PAUSE_SECONDS = 5

# What a Redis answers that is well but for now takes no writes: it is full, a replica, without disk, without replicas,
# busy. What else it refuses is a mistake in what it is asked.
_PASSING = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "BUSY")

# The keys in Redis that are ours.
KEY_PREFIX = "bookings_api:limits"

# In memory, what has expired is removed when there is more than this, now and then: it may be that nothing has.
MANY = 10_000
CLEANING_SECONDS = 1

# Counts under every key, or under none if one of them is full: so of any number of requests at the same moment no more
# pass than may, and who is refused is not counted. A window begins with what is counted first in it, and ends on time,
# whatever comes meanwhile. Answers the count and the milliseconds left for each key, after this request.
_COUNT = Script("""
local full = false
for i, key in ipairs(KEYS) do
    full = full or tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * i - 1])
end
local answer = {full and 1 or 0}
for i, key in ipairs(KEYS) do
    if not full and redis.call('INCR', key) == 1 then
        redis.call('PEXPIRE', key, ARGV[2 * i])
    end
    answer[#answer + 1] = tonumber(redis.call('GET', key) or '0')
    local left = redis.call('PTTL', key)
    answer[#answer + 1] = left >= 0 and left or tonumber(ARGV[2 * i])
end
return answer
""")
_GIVE_BACK = Script("""
for _, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
""")


@dataclass(frozen=True)
class WindowStats:
    """How far a limit is used up: `count` of `limit.amount`, for `seconds` more."""

    limit: RateLimitItem
    count: int
    seconds: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit.amount - self.count)


class Counters:
    """What was counted for whom, under keys of the caller's."""

    def __init__(self, redis_url: str) -> None:
        self._run = ScriptRunner(connect(redis_url))
        self._own = _OwnCounts()
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._pause = 0.0

    @property
    def is_alone(self) -> bool:
        """Whether this process counts for itself."""
        return self._pause > 0

    def count(self, limits: dict[str, RateLimitItem]) -> tuple[bool, list[WindowStats]]:
        """Count once under each of the keys, unless one of them is full: whether it was counted, and how all stand."""
        bounds = [(key, item.amount, item.get_expiry() * 1000) for key, item in limits.items()]
        flat = [number for _, amount, milliseconds in bounds for number in (amount, milliseconds)]
        full, *figures = self._ask(
            lambda: self._run(_COUNT, list(limits), flat),
            lambda: self._own.count(bounds),
        )
        standings = [
            WindowStats(item, count, max(1, math.ceil(left / 1000)))
            for item, count, left in zip(limits.values(), figures[::2], figures[1::2], strict=True)
        ]
        return not full, standings

    def give_back(self, keys: list[str]) -> None:
        """Take back what was counted once under each of the keys."""
        self._ask(lambda: self._run(_GIVE_BACK, keys), lambda: self._own.give_back(keys))

    def _ask(self, shared: Callable[[], Any], own: Callable[[], T]) -> T:
        with self._lock:
            is_away = time.monotonic() < self._away_until
            if not is_away and self._pause:  # this request looks whether it is back; the others do not wait for that
                self._away_until = time.monotonic() + self._pause
        if is_away:
            return own()
        try:
            answer: T = shared()
        except RedisError as error:
            with self._lock:
                if _is_mistake(error):
                    logger.exception("limits are counted by each process, Redis refuses what it is asked")
                elif not self._pause:
                    logger.warning("limits are counted by each process, Redis is away: %s", type(error).__name__)
                self._pause = min(2 * self._pause or 1, LONGEST_PAUSE_SECONDS)
                self._away_until = time.monotonic() + self._pause
            return own()
        if self._pause:
            with self._lock:
                self._away_until = self._pause = 0.0
            logger.info("limits are counted in Redis again")
        return answer


def _is_mistake(error: RedisError) -> bool:
    """Whether Redis is well, and what it was asked is wrong."""
    # redis-py cuts the code off the text where it has a class for it
    code = error.status_code or str(error)
    return isinstance(error, ResponseError) and not code.startswith(_PASSING)


class _OwnCounts:
    """The same two operations in the memory of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        self._clean_until = 0.0

    def count(self, bounds: list[tuple[str, int, int]]) -> list[int]:
        now = time.monotonic()
        with self._lock:
            if len(self._counts) > MANY and now >= self._clean_until:
                self._clean_until = now + CLEANING_SECONDS
                self._counts = {key: entry for key, entry in self._counts.items() if entry[1] > now}
            entries = {}
            for key, _, milliseconds in bounds:
                count, ends = self._counts.get(key, (0, 0.0))
                entries[key] = (count, ends) if ends > now else (0, now + milliseconds / 1000)
            full = any(entries[key][0] >= amount for key, amount, _ in bounds)
            if not full:
                entries = {key: (count + 1, ends) for key, (count, ends) in entries.items()}
                self._counts |= entries
        return [
            int(full),
            *(figure for count, ends in entries.values() for figure in (count, int((ends - now) * 1000))),
        ]

    def give_back(self, keys: list[str]) -> list[int]:
        with self._lock:
            for key in keys:
                count, ends = self._counts.get(key, (0, 0.0))
                if count > 0:
                    self._counts[key] = (count - 1, ends)
        return []
