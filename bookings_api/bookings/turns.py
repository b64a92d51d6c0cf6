"""Keeps buyers of the same event in this process from competing for its row lock.

The lock is held across two round trips, and between them its greenlet may wait to be scheduled. With turns, buyers wait
before they take the lock instead of while they hold it. Sold-out events refuse orders without any lock.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bookings_api.database.timeouts import LOCK_SECONDS

REFUSAL_SECONDS = 1.0
MAX_REFUSALS = 1024


class TurnTimeout(PoolTimeoutError):
    """Other requests for the event took too long. Answered like a busy connection pool: 503, try again."""


class Turns:
    """One booking per event at a time, in order of arrival. With a plain lock or semaphore, newcomers overtake."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # the callers in line for each event; each waits for its own lock, which is released when its turn begins
        self._lines: dict[UUID, deque[threading.Lock]] = {}

    @contextmanager
    def turn(self, event_id: UUID, *, seconds: float | None = None) -> Iterator[None]:
        """Wait in line, then run the block. Raises `TurnTimeout` after `seconds`, by default `LOCK_SECONDS`."""
        seconds = LOCK_SECONDS if seconds is None else seconds
        mine = threading.Lock()
        mine.acquire()
        with self._guard:
            line = self._lines.setdefault(event_id, deque())
            line.append(mine)
            if line[0] is mine:
                mine.release()
        try:
            if not mine.acquire(timeout=seconds):
                raise TurnTimeout(f"no turn to book within {seconds} s")
            yield
        finally:
            with self._guard:
                had_turn = line[0] is mine  # or would have had it after giving up
                line.remove(mine)
                if not line:
                    del self._lines[event_id]
                elif had_turn:
                    line[0].release()


class RecentRefusals:
    """Events that refused an order within the last second."""

    def __init__(self) -> None:
        self._until: dict[UUID, float] = {}

    def note(self, event_id: UUID) -> None:
        """Remember a refusal. Forgetting the others when there are too many costs only a lock for their next order."""
        if len(self._until) >= MAX_REFUSALS:
            self._until.clear()
        self._until[event_id] = time.monotonic() + REFUSAL_SECONDS

    def __contains__(self, event_id: UUID) -> bool:
        return time.monotonic() < self._until.get(event_id, 0.0)


turns = Turns()
recent_refusals = RecentRefusals()
