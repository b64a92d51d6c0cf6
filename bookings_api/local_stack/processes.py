"""Child processes that end when their parent ends, even if the parent is killed."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import click

from bookings_api.local_stack import system_calls

ROOT = Path(__file__).resolve().parents[2]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# How many lines of a failed child's log the error message contains. Enough even if every setting is invalid.
LOG_TAIL_LINES = 30


class StackError(click.ClickException):
    """A process could not be started, or ended unexpectedly. click prints the message."""


class Child:
    """A child process in a separate session. Ctrl-C therefore reaches only the parent, which stops its children."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        configuration: bytes | None = None,
        keep_open: Sequence[int] = (),
        unprivileged: bool = False,
        directory: Path = ROOT,
    ) -> None:
        """Start `command` in `directory`.

        `stop_signal` requests a clean shutdown. The child also gets this signal when the current process dies. `log` is
        a file for the child's output. By default, the output goes to the current process's output. `configuration` is
        written to the child's standard input. The child inherits the file descriptors in `keep_open`. With
        `unprivileged`, a child of root runs as the user nobody.

        Raises `StackError` if the system cannot switch from root to nobody.
        """
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        drop_root = unprivileged and os.geteuid() == 0
        if drop_root and not system_calls.IS_LINUX:
            raise StackError("On this system, start the service as a user other than root.")
        end_with_parent = system_calls.end_with_parent(stop_signal)

        def before_exec() -> None:
            if drop_root:
                system_calls.become_nobody()
            end_with_parent()  # after become_nobody(), because changing the user clears the death signal
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        output: IO[bytes] | None = log.open("ab") if log else None
        # signals are blocked, because Python discards an exception that a signal handler raises during a fork
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL if configuration is None else subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=directory,
                env=environment,
                start_new_session=True,
                pass_fds=keep_open,
                preexec_fn=before_exec,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if output:
                output.close()
        if configuration is not None and self._process.stdin:
            self._process.stdin.write(configuration)
            self._process.stdin.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status: None while the process runs, negative if a signal killed the process."""
        if self._process.returncode is None and self._process.poll() is not None:
            self._kill_session()  # a killed child may leave processes behind
        return self._process.returncode

    def wait(self) -> None:
        """Wait until the process ends. Raises `StackError` if the process fails. If interrupted, stops the process."""
        try:
            while self.exit_status is None:
                time.sleep(0.02)
        finally:
            self.stop()
        if self.exit_status != 0:
            raise StackError(self._failure())

    def wait_until_ready(self, probe: Callable[[], object], *, seconds: float = 30) -> None:
        """Call `probe` until it raises no exception. Raises `StackError` if the child ends or takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            self.require_running()
            try:
                probe()
            except Exception as error:  # client libraries may raise any exception while the server is starting
                if time.monotonic() > deadline:
                    raise StackError(f"{self.name} is not ready after {seconds:.0f} s: {error}") from error
                time.sleep(0.03)
            else:
                return

    def require_running(self) -> None:
        """Raise `StackError` if the process has ended."""
        if self.exit_status is not None:
            raise StackError(self._failure())

    def stop(self, *, seconds: float = 30) -> None:
        """Stop the process cleanly. After `seconds`, kill the process and its children."""
        if self.exit_status is None:
            self._process.send_signal(self._stop_signal)
        deadline = time.monotonic() + seconds
        while self.exit_status is None:
            if time.monotonic() > deadline:
                self._kill_session()
            time.sleep(0.02)

    def _kill_session(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_lines(self, text: str) -> list[str]:
        """Return the lines of the log that contain `text`."""
        log = self.log.read_text(errors="replace") if self.log else ""
        return [line for line in log.splitlines() if text in line]

    def _failure(self) -> str:
        message = f"{self.name} ended with status {self.exit_status}."
        if not self.log:
            return message
        tail = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n    ".join([message, *tail]) + f"\n  (from {self.log})"


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
