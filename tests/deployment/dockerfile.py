"""Executes the Dockerfile in a directory, the closest equivalent to an image without a container engine.

The base image's Python is replaced by a local virtual environment, absolute paths are moved below the directory, and
all stages share it. Users, labels and ports are only parsed.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bookings_api.local_stack.processes import ROOT
from scripts.bootstrap import find_uv

FILE = ROOT / "Dockerfile"

# Package index settings of this machine, not part of the image.
_INDEX = {name: value for name, value in os.environ.items() if re.match(r"(UV|PIP|SSL)_|(?i:https?|no)_proxy", name)}


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction and its arguments, with continuation lines joined."""
    lines = [line for line in FILE.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        yield name, rest


def command() -> list[str]:
    """The image's CMD. It must be in exec form, because a shell would not forward signals."""
    (found,) = [json.loads(rest) for name, rest in instructions() if name == "CMD"]
    return list(found)


def health_check() -> list[str]:
    """The command of the HEALTHCHECK."""
    (found,) = [rest.partition(" CMD ")[2] for name, rest in instructions() if name == "HEALTHCHECK"]
    return list(json.loads(found))


def user() -> int:
    (found,) = [int(rest.split(":")[0]) for name, rest in instructions() if name == "USER"]
    return found


def is_included(path: str) -> bool:
    """Whether `.dockerignore` includes a file in the build context. The last matching pattern decides."""
    included = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(f"{pattern}(?:/.*)?", path):
            included = line.startswith("!")
    return included


@dataclass
class Image:
    """The built files below `root` and the environment of the container's processes."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    directory: Path = Path("/")

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def build(self) -> None:
        """Run every step of every stage. Raises `CalledProcessError` when a step fails."""
        steps = {"FROM": self._begin, "ENV": self._set, "WORKDIR": self._go, "COPY": self._copy, "RUN": self._run}
        for name, rest in instructions():
            if name in steps:
                steps[name](rest)

    def _begin(self, _: str) -> None:
        python = self.path("/usr/local")
        if not python.exists():
            subprocess.run([find_uv(), "venv", "--quiet", "--seed", python], check=True)
        self.environment = {"PATH": f"{python}/bin:/usr/bin:/bin", "HOME": str(self.path("/root"))}

    def _set(self, rest: str) -> None:
        for assignment in shlex.split(rest):
            name, _, value = assignment.partition("=")
            moved = re.sub(r"(^|:)/", rf"\1{self.root}/", value)
            self.environment[name] = moved.replace("$PATH", self.environment["PATH"])

    def _go(self, rest: str) -> None:
        self.directory = self.path(rest)
        self.directory.mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        if sources[0].startswith("--from="):
            assert [target] == sources[1:], "stages share one directory, so a file must keep its path"
            assert self.path(target).is_dir()
            return
        for source in sources:
            into = self.directory / target
            for file in [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*")):
                relative = file.relative_to(ROOT)
                if file.is_file() and is_included(str(relative)):
                    copy = into / (file.name if file == ROOT / source else file.relative_to(ROOT / source))
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, copy)

    def _run(self, rest: str) -> None:
        environment = {"UV_CACHE_DIR": str(Path.home() / ".cache" / "uv")} | _INDEX | self.environment
        subprocess.run(["sh", "-c", rest], cwd=self.directory, env=environment, check=True)
