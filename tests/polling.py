"""Waiting for what another process or thread does, and having threads do something meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


def wait_until(is_so: Callable[[], bool], *, seconds: float) -> None:
    """Return as soon as `is_so` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.05)


@contextmanager
def meanwhile(*steps: Callable[[], object]) -> Iterator[None]:
    """Each step is taken again and again, in a thread of its own; what it raises is raised at the end."""
    enough = threading.Event()

    def run(step: Callable[[], object]) -> None:
        while not enough.is_set():
            step()

    with ThreadPoolExecutor(len(steps)) as pool:
        running = [pool.submit(run, step) for step in steps]
        try:
            yield
        finally:
            enough.set()
    for done in running:
        done.result()
