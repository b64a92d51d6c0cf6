"""`bootstrap.py GROUP MODULE [ARGUMENT ...]`: installs the locked dependencies and executes `python -m MODULE`.

Requires only Python >= 3.11, and uv or pip. The module runs in the same process. Child processes end with this process.
"""

import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN_UV = ROOT / ".local" / "uv"
SYSTEM_CALLS = runpy.run_path(str(ROOT / "bookings_api" / "local_stack" / "system_calls.py"))


def main() -> None:
    group, module, *arguments = sys.argv[1:]
    python = install(group)
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(python, [str(python), "-m", module, *arguments])


def install(group: str) -> Path:
    """Install the locked dependencies of `group` into `.venv`, and return the path of its interpreter."""
    if not (ROOT / ".venv").exists():
        print("Installing the locked dependencies ...", flush=True)
    # --inexact, because scripts/run and scripts/test share .venv but need different groups
    run(
        find_uv(), "sync", "--quiet", "--locked", "--inexact", "--no-default-groups", "--group", group,
        "--project", ROOT, "--python", sys.executable,
    )  # fmt: skip
    return ROOT / ".venv" / "bin" / "python"


def find_uv() -> Path:
    """Return the path of uv. If uv is not on PATH, install it with pip into `.local`."""
    on_path = shutil.which("uv")
    if on_path:
        return Path(on_path)
    if not OWN_UV.exists():
        print("Installing uv ...", flush=True)
        OWN_UV.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=OWN_UV.parent) as unfinished:
            require_pip()
            run(
                sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check",
                "--root-user-action=ignore", "--target", Path(unfinished, "uv"), "uv",
            )  # fmt: skip
            try:
                Path(unfinished, "uv").rename(OWN_UV)
            except OSError:
                if not OWN_UV.exists():  # otherwise, a concurrent run has installed uv
                    raise
    return OWN_UV / "bin" / "uv"


def require_pip() -> None:
    pip = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if pip.returncode != 0:
        sys.exit("scripts: uv or pip is required. Install one of them (Debian: apt-get install python3-pip).")


def run(*command: str | Path) -> None:
    """Run a command and wait until it ends. The command also ends if the current process is killed."""
    end_with_parent = SYSTEM_CALLS["end_with_parent"](signal.SIGTERM)
    with subprocess.Popen(
        [str(part) for part in command], preexec_fn=end_with_parent, start_new_session=True
    ) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            sys.exit(130)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if status != 0:
        sys.exit(f"scripts: {Path(command[0]).name} failed with status {status}.")


if __name__ == "__main__":
    main()
