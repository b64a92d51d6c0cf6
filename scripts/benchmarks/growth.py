"""How fast the service is through PgBouncer, and with its lists on a read replica, beside the same service without.

    .venv/bin/python -m scripts.benchmarks.growth [--rounds 3] [--seconds 5]

All run on one machine, in turns: so this tells what each way costs, and what it takes from the primary, and not what
more machines would give. Needs wrk, and PgBouncer (Debian's package pgbouncer).
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from bookings_api.local_stack.processes import Child, free_port
from scripts.benchmarks.loads import loads
from scripts.benchmarks.measure import Figures, run_wrk
from scripts.benchmarks.site import Site, grow, running_site, settle
from scripts.benchmarks.verify import mistakes
from tests.scaling.pgbouncer import running_pgbouncer
from tests.scaling.replica import Replica

EVENTS = BOOKINGS = 10_000
# Enough for both processes and the worker; PostgreSQL has no more to do at once either way.
SERVERS = 10
LOADS = ("own bookings", "refusal", "spread booking")

_COLUMNS = "req/s | of direct | p50 ms | p99 ms | errors | app CPU ms | primary's CPU ms"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts.benchmarks.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each run (default: 5)")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        site = stack.enter_context(running_site(directory))
        settle(site)
        grow(site, events=EVENTS, bookings=BOOKINGS)
        through = stack.enter_context(running_pgbouncer(directory, site.database_url, servers=SERVERS))
        replica = stack.enter_context(Replica(directory, site.database_url))
        ways = {
            "direct": site,
            "PgBouncer": stack.enter_context(
                _another(site, directory, DATABASE_URL=through, DATABASE_POOL_MODE="transaction")
            ),
            "replica": stack.enter_context(_another(site, directory, DATABASE_READ_URL=replica.url)),
        }
        print(f"| | by | {_COLUMNS} |\n{'|---' * (_COLUMNS.count('|') + 3)}|")
        for load in loads(events=EVENTS, deepest_page=1):
            if not load.name.startswith(LOADS):
                continue
            runs: dict[str, list[Figures]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, way in ways.items():
                    runs[name].append(run_wrk(way, load, directory, seconds=options.seconds))
            direct = Figures.median(runs["direct"])
            for name, figures in runs.items():
                print(_line(load.name, name, Figures.median(figures), direct), flush=True)
        found = mistakes(site)
    print("\n".join(["WRONG", *found]) if found else "nothing was oversold, and each booking has its mail")
    return 1 if found else 0


@contextmanager
def _another(site: Site, directory: Path, **settings: str) -> Iterator[Site]:
    """One more gunicorn on the same data, which goes another way."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gunicorn", f"--bind={url[7:]}", "wsgi:app"]
    server = Child("gunicorn", command, environment={**os.environ, **settings}, log=directory / f"{url[17:]}.log")
    try:
        server.wait_until_ready(lambda: httpx.get(f"{url}/health/ready").raise_for_status())
        yield replace(site, url=url, server=server)
    finally:
        server.stop()


def _line(load: str, way: str, figures: Figures, direct: Figures) -> str:
    cells = [
        load,
        way,
        f"{figures.rate:.0f}",
        f"{figures.rate / direct.rate:.2f}",
        f"{figures.p50:.1f}",
        f"{figures.p99:.1f}",
        str(figures.errors),
        f"{figures.app_cpu:.2f}",
        f"{figures.postgres_cpu:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
