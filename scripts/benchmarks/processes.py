"""How long gunicorn's processes take to start, and what they hold in memory the longer they work."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.loads import Load
from scripts.benchmarks.measure import children, run_wrk
from scripts.benchmarks.site import Site

# Of each kind of request in turn.
_SECONDS = 3
_SAMPLE_EVERY = 20_000


def replacement_seconds(site: Site) -> float:
    """Kill a process; how long until gunicorn has another one in its place, a fork of what is loaded already."""
    before = set(children(site.server.pid))
    os.kill(min(before), signal.SIGKILL)
    killed_at = time.monotonic()
    while not set(children(site.server.pid)) - before:
        time.sleep(0.001)
    return time.monotonic() - killed_at


def memory_over(site: Site, loads: list[Load], directory: Path, *, requests: int) -> Iterator[tuple[int, list[int]]]:
    """Send all kinds of requests in turn; after every 20,000 or so the MiB that each process holds, but for what it
    shares with others.
    """
    answered, next_sample = 0, 0
    while answered < requests:
        for load in loads:
            if answered >= next_sample:
                yield answered, private_mebibytes(site)
                next_sample += _SAMPLE_EVERY
            answered += round(run_wrk(site, load, directory, seconds=_SECONDS).rate * _SECONDS)
    yield answered, private_mebibytes(site)


def private_mebibytes(site: Site) -> list[int]:
    """The unique set size of each process."""
    return [_mebibytes(pid, "Private_Clean", "Private_Dirty") for pid in children(site.server.pid)]


def resident_mebibytes(site: Site) -> list[int]:
    """The resident set size of each process, with what they share."""
    return [_mebibytes(pid, "Rss") for pid in children(site.server.pid)]


def _mebibytes(pid: int, *entries: str) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return (
        sum(int(size) for name, size in re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE) if name in entries) // 1024
    )
