"""Runs wrk and pgbench, and measures the CPU time that the servers use during a run."""

import os
import re
import shutil
import statistics
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psycopg2.extensions

from bookings_api.local_stack.servers import postgres_binary
from scripts.benchmarks.loads import Load, lua
from scripts.benchmarks.service import Service

_TICKS = os.sysconf("SC_CLK_TCK")
# Threads of wrk and pgbench. More threads would take CPU time from the servers.
_THREADS = 2


@dataclass(frozen=True)
class Figures:
    """The result of a run. `rate` is in requests per second. Times are in milliseconds, CPU times per request."""

    rate: float
    p50: float
    p99: float
    errors: int
    app_cpu: float = 0
    postgres_cpu: float = 0

    @classmethod
    def median(cls, runs: list[Self]) -> "Figures":
        """Return the median of each figure and the sum of the errors."""
        medians = {name: statistics.median(asdict(run)[name] for run in runs) for name in asdict(runs[0])}
        return cls(**medians | {"errors": sum(run.errors for run in runs)})

    def as_dict(self) -> dict[str, Any]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


def missing_wrk() -> str | None:
    """Return an error message if wrk is not installed, otherwise None."""
    return None if shutil.which("wrk") else "wrk is not installed: apt-get install wrk (https://github.com/wg/wrk)"


def run_wrk(
    service: Service, load: Load, directory: Path, *, seconds: int, connections: int = 16, bare_size: int | None = None
) -> Figures:
    """Send requests with wrk, without pauses.

    With `bare_size`, sends the requests to the bare route, which returns bodies of this size in bytes.
    """
    script = _write_lua(service, load, directory, bare_size)
    url = service.url if bare_size is None else service.bare_url
    before = _cpu_seconds(service.server.pid), _cpu_seconds(service.postgres.pid)
    output = _run("wrk", f"-t{_THREADS}", f"-c{connections}", f"-d{seconds}s", "--timeout=10s", f"-s{script}", url)
    after = _cpu_seconds(service.server.pid), _cpu_seconds(service.postgres.pid)
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+) (\d+)", output)
    if not found:
        raise RuntimeError(f"unexpected output of wrk: {output}")
    requests, microseconds, p50, p99, refused, broken = map(float, found.groups())
    return Figures(
        rate=requests / microseconds * 1e6,
        p50=p50 / 1000,
        p99=p99 / 1000,
        errors=int(refused + broken),
        app_cpu=(after[0] - before[0]) / requests * 1000,
        postgres_cpu=(after[1] - before[1]) / requests * 1000,
    )


def body_size(service: Service, load: Load, directory: Path) -> int:
    """Return the size of the body of a response in bytes."""
    script = _write_lua(service, load, directory, None)
    with script.open("a") as file:
        file.write('response = function(_, _, body) io.write("SIZE ", #body, "\\n") end')
    return int(_run("wrk", "-t1", "-c1", "-d1s", f"-s{script}", service.url).split("SIZE ")[1].split()[0])


def run_pgbench(service: Service, load: Load, directory: Path, *, seconds: int, connections: int = 16) -> Figures:
    """Do the work of a load with pgbench, with as many connections as `run_wrk` and with prepared statements."""
    script, log = directory / "load.sql", directory / "pgbench"
    script.write_text(load.pgbench or "")
    for old in directory.glob("pgbench.*"):
        old.unlink()
    before = _cpu_seconds(service.postgres.pid)
    parameters = psycopg2.extensions.parse_dsn(service.database_url)
    output = _run(
        str(postgres_binary("pgbench")), "--no-vacuum", "--protocol=prepared", f"--client={connections}",
        f"--jobs={_THREADS}", f"--time={seconds}", f"--file={script}", "--log", f"--log-prefix={log}",
        f"--host={parameters['host']}", f"--port={parameters['port']}", f"--username={parameters['user']}",
        parameters["dbname"], PGPASSWORD=parameters["password"],
    )  # fmt: skip
    found = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    if not found:
        raise RuntimeError(f"unexpected output of pgbench: {output}")
    times = sorted(int(line.split()[2]) for file in directory.glob("pgbench.*") for line in file.open())
    return Figures(
        rate=float(found[1]),
        p50=times[len(times) // 2] / 1000,
        p99=times[len(times) * 99 // 100] / 1000,
        errors=0,
        postgres_cpu=(_cpu_seconds(service.postgres.pid) - before) / len(times) * 1000,
    )


def children(pid: int) -> list[int]:
    """Return the IDs of the running child processes of a process."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with status {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _write_lua(service: Service, load: Load, directory: Path, bare_size: int | None) -> Path:
    tokens, script = directory / "tokens", directory / "load.lua"
    tokens.write_text("\n".join(service.tokens))
    script.write_text(lua(load, str(tokens), bare_size))
    return script


def _cpu_seconds(root: int) -> float:
    """Return the CPU time of a process and its descendants in seconds. Includes descendants that have ended."""
    try:
        fields = Path(f"/proc/{root}/stat").read_text().rpartition(")")[2].split()
        below = children(root)
    except (FileNotFoundError, ProcessLookupError):  # the process has just ended, and the parent's time includes it
        return 0
    return sum(map(int, fields[11:15])) / _TICKS + sum(map(_cpu_seconds, below))
