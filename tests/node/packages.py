"""Installs the npm packages pinned in package-lock.json. Node.js and npm themselves come as a Python wheel."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bookings_api.local_stack.processes import ROOT

_HERE = Path(__file__).parent
_PINS = ("package.json", "package-lock.json", ".npmrc")
_CACHE = ROOT / ".local" / "node"


def node_modules() -> Path:
    """The `node_modules` directory. The first call installs it."""
    pins = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _PINS)).hexdigest()[:16]

    def install(project: Path) -> None:
        for name in _PINS:
            shutil.copy(_HERE / name, project)
        run("npm", "ci", "--loglevel=error", cwd=project)

    return create_once(_CACHE / pins, install) / "node_modules"


def create_once(directory: Path, create: Callable[[Path], None]) -> Path:
    """Return `directory`, after `create` has filled it if it did not exist."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest workers may need it at the same time
        if not directory.exists():
            with tempfile.TemporaryDirectory(dir=directory.parent) as parent:
                unfinished = Path(parent, directory.name)
                unfinished.mkdir()
                create(unfinished)
                unfinished.rename(directory)
    return directory


def run(*command: str, cwd: Path, timeout: float = 300) -> str:
    """Run a command with the installed Node.js and packages first on PATH. Returns stdout and stderr.

    Raises AssertionError with the output if the command fails.
    """
    path = [str(Path(sys.executable).parent), str(cwd / "node_modules" / ".bin"), os.environ.get("PATH", "")]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed with {done.returncode}:\n{done.stdout}"
    return done.stdout
