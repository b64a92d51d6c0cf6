"""One read for all callers that want it at the same time."""

import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Flight(Generic[K, V]):
    """One call of `read`; `landed` is locked until it has ended."""

    __slots__ = ("error", "keys", "landed", "values")

    values: Mapping[K, V]

    def __init__(self) -> None:
        self.keys: set[K] = set()
        self.error: BaseException | None = None
        self.landed = threading.Lock()
        self.landed.acquire()


class SingleFlight(Generic[K, V]):
    """Calls `read` with the keys that its callers want, one call at a time.

    Each caller gets the result of a call that began after it asked: callers that come during a call share the next one.
    What `read` raises is raised for each of them.
    """

    def __init__(self, read: Callable[[set[K]], Mapping[K, V]]) -> None:
        self._read = read
        self._in_the_air = threading.Lock()
        self._boarding = threading.Lock()
        self._next: _Flight[K, V] | None = None

    def __call__(self, key: K) -> V:
        with self._boarding:
            flight = self._next
            is_first = flight is None
            if flight is None:
                flight = self._next = _Flight()
            flight.keys.add(key)
        if is_first:
            self._run(flight)
        else:
            with flight.landed:
                pass
        if flight.error is not None:
            raise flight.error.with_traceback(None)
        return flight.values[key]

    def _run(self, flight: _Flight[K, V]) -> None:
        try:
            with self._in_the_air:
                self._close(flight)
                flight.values = self._read(flight.keys)
        except BaseException as error:  # noqa: BLE001 - raised in __call__, for this caller and all others
            flight.error = error
        finally:
            self._close(flight)
            flight.landed.release()

    def _close(self, flight: _Flight[K, V]) -> None:
        """Callers that come from now on take the next flight."""
        with self._boarding:
            if self._next is flight:
                self._next = None
