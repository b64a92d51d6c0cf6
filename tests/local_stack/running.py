"""Runs `scripts/run` as a user or a process manager does, and inspects its processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bookings_api.local_stack.processes import ROOT, free_port
from config import Config

SECONDS_TO_STOP = 30

RUN = (str(ROOT / "scripts/run"),)
# The run as it works on systems other than Linux
_PORTABLE = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from bookings_api.local_stack import __main__, system_calls
system_calls.HAS_DEATH_SIGNAL = False
__main__.main()
"""
PORTABLE_RUN = (sys.executable, "-c", _PORTABLE)


def start(*options: str, command: Sequence[str] = RUN, **settings: str) -> subprocess.Popen[str]:
    """Start the command outside the checkout, in a separate session, with its output in a pipe.

    The service gets only the given settings, not those of the test run.
    """
    unrelated = {name: value for name, value in os.environ.items() if name not in Config.__dataclass_fields__}
    return subprocess.Popen(
        [*command, *options],
        env=unrelated | {"ENV_FILE": os.devnull} | settings,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


class Run:
    """A run that has finished starting."""

    def __init__(self, directory: Path, *options: str, **settings: Any) -> None:
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
        family |= in_sessions(family)
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
def running(directory: Path, *options: str, **settings: Any) -> Iterator[Run]:
    """Stop the run at the end of the test. For `settings`, see `start`."""
    run = Run(directory, *options, **settings)
    try:
        yield run
    finally:
        if run.is_running:
            run.end(signal.SIGTERM)


def children(pid: int) -> set[int]:
    return {child for child in _processes() if parent_of(child) == pid}


def descendants(pid: int) -> set[int]:
    """Return the process's children and their descendants."""
    found = children(pid)
    return found.union(*(descendants(child) for child in found))


def in_sessions(leaders: set[int]) -> set[int]:
    """Return the processes in the sessions of `leaders`, whatever their parents are."""
    return {pid for pid in _processes() if (stat := _stat(pid)) and int(stat[3]) in leaders}


def parent_of(pid: int) -> int | None:
    """Return the parent process; None for a process that has ended, including zombies."""
    stat = _stat(pid)
    return int(stat[1]) if stat else None


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _stat(pid: int) -> list[str]:
    """Return state, parent, process group, session and more; nothing for a process that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if stat[0] == "Z" else stat


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
