"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], *, seconds: float) -> None:
    """Return as soon as `is_so` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.05)
