"""Keeps buyers of the same event in this process from competing for its row lock.

A lock held across two round trips waits for its greenlet to be scheduled in between. Turns make the wait happen before
the lock instead of while holding it, and sold-out events are refused without any lock.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy.exc import TimeoutError as NoTurn

from bookings_api.database.timeouts import LOCK_SECONDS

REFUSAL_SECONDS = 1.0
MAX_REFUSALS = 1024


class Turns:
    """One booking per event at a time, in order of arrival; works with threads and greenlets.

    Each turn is handed over to the one that has waited longest. With a plain lock or semaphore, newcomers overtake.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # per event, a lock for everyone in line; it is released when the turn begins
        self._lines: dict[UUID, deque[threading.Lock]] = {}

    @contextmanager
    def turn(self, event_id: UUID, *, seconds: float | None = None) -> Iterator[None]:
        """Wait in line, then run the block. Raises `NoTurn` after `seconds` of waiting, by default as for a lock."""
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
                raise NoTurn(f"no turn to book within {seconds} s")
            yield
        finally:
            self._leave(event_id, mine)

    def _leave(self, event_id: UUID, mine: threading.Lock) -> None:
        """Leave the line, and hand the turn over if it was ours, even if we gave up just before it came."""
        with self._guard:
            line = self._lines[event_id]
            had_turn = line[0] is mine
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
        """Remember a refusal. Forgets all others when there are too many, which only costs their next order a lock."""
        if len(self._until) >= MAX_REFUSALS:
            self._until.clear()
        self._until[event_id] = time.monotonic() + REFUSAL_SECONDS

    def __contains__(self, event_id: UUID) -> bool:
        return time.monotonic() < self._until.get(event_id, 0.0)


turns = Turns()
recent_refusals = RecentRefusals()
