"""One question for all who ask at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bookings_api.http.response_cache.single_flight import SingleFlight
from tests.polling import wait_until


class _Slow:
    """Numbers its calls; each call lasts until it is told to go on."""

    def __init__(self) -> None:
        self.calls = 0
        self.go_on = threading.Semaphore(0)

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        assert self.go_on.acquire(timeout=30)
        return number


def test_who_comes_while_a_question_is_under_way_shares_the_next_one() -> None:
    slow = _Slow()
    read = SingleFlight(slow)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(read)
        wait_until(lambda: slow.calls == 1, seconds=10)
        others = [pool.submit(read) for _ in range(5)]
        wait_until(lambda: all(other.running() for other in others), seconds=10)
        assert not any(other.done() for other in others)
        slow.go_on.release()
        assert first.result() == 1
        slow.go_on.release(5)  # more than are needed

        answers = {other.result() for other in others}

    # one that had not begun to ask when the second question was put has a third
    assert 1 not in answers
    assert slow.calls <= 3


def test_an_error_is_everybodys_and_the_next_question_is_put_all_the_same() -> None:
    failing = threading.Event()
    failing.set()

    def read() -> str:
        if failing.is_set():
            raise ConnectionError("away")
        return "back"

    shared = SingleFlight(read)
    for _ in range(2):
        with pytest.raises(ConnectionError, match="away"):
            shared()
    failing.clear()
    assert shared() == "back"


def test_whoever_asks_for_all_and_is_stopped_while_waiting_leaves_nobody_waiting() -> None:
    def read() -> str:
        if threading.current_thread().name.startswith("stopped"):
            raise SystemExit
        return "answer"

    shared = SingleFlight(read)
    with ThreadPoolExecutor(1, thread_name_prefix="stopped") as pool, pytest.raises(SystemExit):
        pool.submit(shared).result(timeout=10)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(shared).result(timeout=10) == "answer"
