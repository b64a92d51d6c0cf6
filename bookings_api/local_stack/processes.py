"""Child processes that end with us: on a clean stop in order, and by the kernel when we are killed -9."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1

_libc = ctypes.CDLL(None, use_errno=True)


# Enough for a configuration in which everything is wrong.
OBITUARY_LINES = 30


class StackError(Exception):
    """Something could not be started; the message is meant for the person at the terminal."""


class Child:
    """A running child process in a session of its own, so that Ctrl-C reaches us alone and we stop it in order.

    It runs in the checkout unless told otherwise: there are `wsgi.py`, `migrations/` and `gunicorn.conf.py`.
    """

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

        `stop_signal` is what ends it gently, also when we die; `log` takes its output (ours, if None);
        `configuration` is its standard input; `keep_open` are descriptors that it inherits; `unprivileged`
        gives up the identity of root, if we have it.
        """
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        parent = os.getpid()
        give_up_root = unprivileged and os.geteuid() == 0

        def before_exec() -> None:
            if give_up_root:
                _become_nobody()
            # after the change of user, which would clear it
            _check(_libc.prctl(_PR_SET_PDEATHSIG, stop_signal, 0, 0, 0))
            if os.getppid() != parent:
                os._exit(1)

        output: IO[bytes] | None = log.open("ab") if log else None
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
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def wait(self) -> None:
        """Wait until it is done, and end it if that is interrupted. Raises `StackError` unless it succeeded."""
        try:
            self._process.wait()
        finally:
            self.stop()
        if self.exit_status != 0:
            raise StackError(self._obituary())

    def wait_until_ready(self, probe: Callable[[], object], *, seconds: float = 30) -> None:
        """Call `probe` until it raises no more. Raises `StackError` if the child dies or takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            self.require_running()
            try:
                probe()
            except Exception as error:  # whatever a client library raises while its server is not there yet
                if time.monotonic() > deadline:
                    raise StackError(f"{self.name} is not ready after {seconds:.0f} s: {error}") from error
                time.sleep(0.03)
            else:
                return

    def require_running(self) -> None:
        """Raise `StackError` if it has ended."""
        if self.exit_status is not None:
            raise StackError(self._obituary())

    def stop(self, *, seconds: float = 30) -> None:
        """Ask it to end, and after `seconds` make it and its children end."""
        if self.exit_status is None:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()

    def lines_of_log(self, words: str) -> list[str]:
        """What it has said so far with these words in it."""
        said = self.log.read_text(errors="replace") if self.log else ""
        return [line for line in said.splitlines() if words in line]

    def _obituary(self) -> str:
        said = ""
        if self.log:
            tail = self.log.read_text(errors="replace").splitlines()[-OBITUARY_LINES:]
            said = "".join(f"\n    {line}" for line in tail) + f"\n  (from {self.log})"
        return f"{self.name} ended with status {self.exit_status}.{said}"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _become_nobody() -> None:
    """Run as uid 65534, because PostgreSQL refuses uid 0, but keep root's right to pass closed directories.

    So a checkout and a data directory below a home of mode 700 work, with no change to any file that is there
    already. An ambient capability survives exec, and without the fix-up for user ids access(2) respects it, by
    which initdb looks for its siblings; see capabilities(7).
    """
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    _check(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    mask = 1 << _CAP_DAC_OVERRIDE
    # effective, permitted, inheritable; each a low and a high word
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)))
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
