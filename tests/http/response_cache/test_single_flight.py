"""One read for all callers that want it at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bookings_api.http.response_cache.single_flight import SingleFlight
from tests.polling import wait_until


class _Slow:
    """Returns the number of each call, after waiting for one of the `permits`."""

    def __init__(self) -> None:
        self.calls = 0
        self.permits = threading.Semaphore(0)

    def __call__(self, keys: set[str]) -> dict[str, int]:
        self.calls += 1
        number = self.calls
        assert self.permits.acquire(timeout=30)
        return dict.fromkeys(keys, number)


def test_callers_that_arrive_during_a_read_share_the_next_one() -> None:
    slow = _Slow()
    read = SingleFlight(slow)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(read, "a")
        wait_until(lambda: slow.calls == 1, seconds=10)
        others = [pool.submit(read, key) for key in "aabbb"]
        wait_until(lambda: all(other.running() for other in others), seconds=10)
        assert not any(other.done() for other in others)
        slow.permits.release()
        assert first.result() == 1
        slow.permits.release(5)  # more than necessary

        numbers = {other.result() for other in others}

    # a thread that calls after the second read has begun causes a third one
    assert 1 not in numbers
    assert slow.calls <= 3


def test_callers_get_the_value_of_their_key() -> None:
    upper = SingleFlight(lambda keys: {key: key.upper() for key in keys})
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(upper, "abcdefgh" * 20)) == list("ABCDEFGH" * 20)


def test_a_failed_read_raises_for_every_caller_and_is_not_remembered() -> None:
    failing = threading.Event()
    failing.set()

    def read(keys: set[str]) -> dict[str, str]:
        if failing.is_set():
            raise ConnectionError("away")
        return dict.fromkeys(keys, "back")

    shared = SingleFlight(read)
    for _ in range(2):
        with pytest.raises(ConnectionError, match="away"):
            shared("a")
    failing.clear()
    assert shared("a") == "back"


def test_a_caller_stopped_during_its_read_blocks_no_other_caller() -> None:
    def read(keys: set[str]) -> dict[str, str]:
        if threading.current_thread().name.startswith("stopped"):
            raise SystemExit
        return dict.fromkeys(keys, "value")

    shared = SingleFlight(read)
    with ThreadPoolExecutor(1, thread_name_prefix="stopped") as pool, pytest.raises(SystemExit):
        pool.submit(shared, "a").result(timeout=10)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(shared, "a").result(timeout=10) == "value"
