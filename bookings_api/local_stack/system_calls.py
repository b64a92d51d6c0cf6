"""System calls that exist only on Linux, with substitutes for other systems.

This module uses only the standard library, because scripts/bootstrap.py loads it before any package is installed.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

IS_LINUX = sys.platform == "linux"
# Whether the kernel can send a signal to a process when its parent dies.
HAS_DEATH_SIGNAL = IS_LINUX
NOBODY = 65534
SECONDS_TO_STOP = 30

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 28, 1 << 2
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(stop_signal: int) -> Callable[[], None]:
    """Return a `preexec_fn` that makes the child receive `stop_signal` when the current process dies.

    The signal is sent even if the current process is killed. The child must start a new session. When the child ends,
    the caller must kill the other processes in the session.
    """
    if HAS_DEATH_SIGNAL:
        return partial(_request_death_signal, os.getpid(), stop_signal)
    return partial(_fork_watcher, *_pipe(), stop_signal)


def _request_death_signal(parent: int, stop_signal: int) -> None:
    _check(_libc.prctl(_PR_SET_PDEATHSIG, stop_signal, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)


@cache
def _pipe() -> tuple[int, int]:
    """Return a pipe. Its write end is open only in the current process, and closes when the process dies."""
    return os.pipe()


def _fork_watcher(reading: int, writing: int, stop_signal: int) -> None:
    """Fork a watcher that stops the current process when the pipe's write end closes.

    The watcher is a grandchild, so that the program that the current process executes next has no unexpected child.
    """
    watched = os.getpid()
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    try:
        if not os.fork():
            for descriptor in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
                if descriptor != reading:
                    with suppress(OSError):
                        os.close(descriptor)
            os.read(reading, 1)
            with suppress(ProcessLookupError):
                os.kill(watched, stop_signal)
                deadline = time.monotonic() + SECONDS_TO_STOP
                while time.monotonic() < deadline:
                    time.sleep(0.1)
                    os.kill(watched, 0)
            os.killpg(watched, signal.SIGKILL)
    finally:
        os._exit(0)


def become_nobody() -> None:
    """Switch to user ID 65534, because PostgreSQL refuses to run as root. Keeps root's access to files.

    The checkout and the data directory can therefore be in a home directory with mode 0700. The capability that grants
    this access is ambient, so it survives exec. initdb calls access(2), which honors the capability only if the
    set-user-ID fix-up is off. See capabilities(7).
    """
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    _check(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    mask = 1 << _CAP_DAC_OVERRIDE
    # the effective, permitted and inheritable sets, each as a low and a high word
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)))
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
