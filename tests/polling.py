"""Waits for conditions, and repeats code in background threads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

# Generous, for busy machines: a passing test needs only a fraction of it.
PATIENCE_SECONDS = 60


def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as `condition` is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still false after {seconds} s"
        time.sleep(0.02)


@contextmanager
def repeated_in_background(*steps: Callable[[], object]) -> Iterator[None]:
    """Repeat each step in a thread for the duration of the block. Raises the exception of a failed step."""
    finished = threading.Event()

    def run(step: Callable[[], object]) -> None:
        while not finished.is_set():
            step()

    with ThreadPoolExecutor(len(steps)) as pool:
        running = [pool.submit(run, step) for step in steps]
        try:
            yield
        finally:
            finished.set()
    for future in running:
        future.result()
