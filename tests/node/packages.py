"""The npm packages that the suite needs, as package-lock.json pins them; node and npm themselves come as a wheel."""

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
    """The directory `node_modules`, installed when it is asked for the first time."""
    pins = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _PINS)).hexdigest()[:16]

    def install(project: Path) -> None:
        for name in _PINS:
            shutil.copy(_HERE / name, project)
        run("npm", "ci", "--loglevel=error", cwd=project)

    return made_once(_CACHE / pins, install) / "node_modules"


def made_once(directory: Path, make: Callable[[Path], None]) -> Path:
    """`directory`, which is filled by `make` when it is asked for the first time."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes of a run may want it at once
        if not directory.exists():
            with tempfile.TemporaryDirectory(dir=directory.parent) as place:
                unfinished = Path(place, directory.name)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(directory)
    return directory


def run(*command: str, cwd: Path, timeout: float = 300) -> str:
    """What a command prints, warnings too, with our node, and the commands of its packages, first on its path.

    Raises AssertionError with all that it said when it fails.
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
