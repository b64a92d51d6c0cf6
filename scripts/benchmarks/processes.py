"""Measures how long gunicorn's processes take to start and how their memory grows."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.benchmarks.loads import Load
from scripts.benchmarks.measure import children, run_wrk
from scripts.benchmarks.service import Service

# The duration of each load.
_SECONDS = 3
_SAMPLE_EVERY = 20_000


def replacement_seconds(service: Service) -> float:
    """Kill a worker process, and return the seconds until gunicorn has forked a new process."""
    before = set(children(service.server.pid))
    os.kill(min(before), signal.SIGKILL)
    killed_at = time.monotonic()
    while not set(children(service.server.pid)) - before:
        time.sleep(0.001)
    return time.monotonic() - killed_at


def sample_memory(
    service: Service, loads: list[Load], directory: Path, *, requests: int
) -> Iterator[tuple[int, list[int]]]:
    """Send all loads in turn. About every 20,000 requests, yield their number and the private MiB of each process."""
    sent, next_sample = 0, 0
    while sent < requests:
        for load in loads:
            if sent >= next_sample:
                yield sent, private_mebibytes(service)
                next_sample += _SAMPLE_EVERY
            sent += round(run_wrk(service, load, directory, seconds=_SECONDS).rate * _SECONDS)
    yield sent, private_mebibytes(service)


def private_mebibytes(service: Service) -> list[int]:
    """Return the memory that each process does not share (unique set size), in MiB."""
    return [_mebibytes(pid, "Private_Clean", "Private_Dirty") for pid in children(service.server.pid)]


def resident_mebibytes(service: Service) -> list[int]:
    """Return the memory of each process including shared memory (resident set size), in MiB."""
    return [_mebibytes(pid, "Rss") for pid in children(service.server.pid)]


def _mebibytes(pid: int, *entries: str) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return (
        sum(int(size) for name, size in re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE) if name in entries) // 1024
    )
