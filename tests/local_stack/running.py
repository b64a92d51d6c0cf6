"""Runs `scripts/run` as a user or a process manager does, and inspects its processes."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bookings_api.local_stack.processes import ROOT, free_port
from config import Config

SECONDS_TO_STOP = 30


def start(*options: str, **settings: str) -> subprocess.Popen[str]:
    """Start the command outside the checkout, in a separate session, with its output in a pipe.

    The service gets only the given settings, not those of the test run.
    """
    unrelated = {name: value for name, value in os.environ.items() if name not in Config.__dataclass_fields__}
    return subprocess.Popen(
        [str(ROOT / "scripts/run"), *options],
        env=unrelated | {"ENV_FILE": os.devnull} | settings,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


class Run:
    """A run that has finished starting."""

    def __init__(self, directory: Path, *options: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mail = directory / "mail" / "new"
        self._process = start("--data-dir", str(directory), "--port", str(self.port), *options, **settings)
        self.output = ""
        assert self._process.stdout
        for line in self._process.stdout:
            self.output += line
            if "Ctrl-C" in line:
                return
        pytest.fail(f"the run ended during startup:\n{self.output}")

    def end(self, number: signal.Signals, *, child: str = "") -> int:
        """Send a signal, wait until all its processes have ended, and return the exit status.

        The signal goes to the run, or to its child with `child` in the command line.
        """
        family = descendants(self._process.pid)
        assert len(family) > 8  # PostgreSQL and gunicorn alone are more
        os.kill(self._child(child) if child else self._process.pid, number)
        self.output += self._process.communicate(timeout=SECONDS_TO_STOP)[0]
        deadline = time.monotonic() + SECONDS_TO_STOP
        while left := [pid for pid in family if parent_of(pid) is not None]:
            assert time.monotonic() < deadline, f"left behind: {[_command_line(pid) for pid in left]}"
            time.sleep(0.1)
        return self._process.returncode

    def _child(self, name: str) -> int:
        (child,) = [pid for pid in children(self._process.pid) if name in _command_line(pid)]
        return child

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None


@contextmanager
def running(directory: Path, *options: str, **settings: str) -> Iterator[Run]:
    """Stop the run at the end of the test."""
    run = Run(directory, *options, **settings)
    try:
        yield run
    finally:
        if run.is_running:
            run.end(signal.SIGTERM)


def children(pid: int) -> set[int]:
    processes = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return {child for child in processes if parent_of(child) == pid}


def descendants(pid: int) -> set[int]:
    """Return the process's children and their descendants."""
    found = children(pid)
    return found.union(*(descendants(child) for child in found))


def parent_of(pid: int) -> int | None:
    """Return the parent process; None for a process that has ended, including zombies."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
