"""One question for all who ask it at the same moment."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Asked(Generic[T]):
    """A question that somebody will put, or has put; `over` is held until it is answered."""

    __slots__ = ("answer", "error", "over")

    answer: T

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.over = threading.Lock()
        self.over.acquire()


class SingleFlight(Generic[T]):
    """Calls `read` for many at once: each gets an answer to a question that was put after it came, not before.

    Whoever comes while a question is under way waits for the next one, together with all others who do. What `read`
    raises all of them get.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._one_at_a_time = threading.Lock()
        self._joining = threading.Lock()
        self._next: _Asked[T] | None = None

    def __call__(self) -> T:
        with self._joining:
            asked = self._next
            comes_first = asked is None
            if asked is None:
                asked = self._next = _Asked()
        if comes_first:
            self._ask(asked)
        else:
            with asked.over:
                pass
        if asked.error is not None:
            raise asked.error.with_traceback(None)
        return asked.answer

    def _ask(self, asked: _Asked[T]) -> None:
        try:
            with self._one_at_a_time:
                self._close(asked)
                asked.answer = self._read()
        except BaseException as error:  # noqa: BLE001 - raised above, and for all others
            asked.error = error
        finally:
            self._close(asked)
            asked.over.release()

    def _close(self, asked: _Asked[T]) -> None:
        """Who comes from now on waits for the next one."""
        with self._joining:
            if self._next is asked:
                self._next = None
