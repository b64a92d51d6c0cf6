"""Runs the requests that book, change or cancel tickets for an event one at a time within a process.

A booking holds the event's row lock for two round trips, and longer if other greenlets run in between. Requests for the
same event therefore wait for their turn before they take a connection and the lock. `RecentRefusals` remembers events
for which an order was refused, such as sold-out events. Further orders can then be refused without the lock.
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
    """Raised when a request waits too long for its turn. The response is 503, as for a busy connection pool."""


class Turns:
    """Lets one request per event run at a time, in order of arrival. A plain lock would not keep this order."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # The waiting line of each event. Each caller waits for its own lock, which is released when its turn begins.
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
                had_turn = line[0] is mine  # true even if the turn came just after the timeout
                line.remove(mine)
                if not line:
                    del self._lines[event_id]
                elif had_turn:
                    line[0].release()


class RecentRefusals:
    """The events for which an order was refused within the last second."""

    def __init__(self) -> None:
        self._until: dict[UUID, float] = {}

    def note(self, event_id: UUID) -> None:
        """Remember a refusal for `REFUSAL_SECONDS`. Forgets all earlier refusals once there are `MAX_REFUSALS`."""
        if len(self._until) >= MAX_REFUSALS:
            self._until.clear()
        self._until[event_id] = time.monotonic() + REFUSAL_SECONDS

    def __contains__(self, event_id: UUID) -> bool:
        return time.monotonic() < self._until.get(event_id, 0.0)


turns = Turns()
recent_refusals = RecentRefusals()
