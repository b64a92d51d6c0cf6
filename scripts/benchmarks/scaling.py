"""Compares PgBouncer and a read replica with a direct connection to PostgreSQL.

    .venv/bin/python -m scripts.benchmarks.scaling [--rounds 3] [--seconds 5]

The setups alternate on one machine. The figures show the cost of each setup and how much work it takes from the
primary. They do not show the gain from additional machines. Requires wrk and PgBouncer (Debian package pgbouncer).
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
from scripts.benchmarks.service import Service, fill_tables, mark_emails_sent, running_service
from scripts.benchmarks.verify import violations
from tests.scaling.pgbouncer import running_pgbouncer
from tests.scaling.replica import Replica

EVENTS = BOOKINGS = 10_000
# Enough for all processes, so that PgBouncer does not reduce concurrency.
SERVER_CONNECTIONS = 10
LOADS = ("own bookings", "refusal", "spread booking")

_COLUMNS = "req/s | relative to direct | p50 ms | p99 ms | errors | API CPU ms | primary CPU ms"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts.benchmarks.scaling", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="seconds per run (default: 5)")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        service = stack.enter_context(running_service(directory))
        mark_emails_sent(service)
        fill_tables(service, events=EVENTS, bookings=BOOKINGS)
        pgbouncer_url = stack.enter_context(
            running_pgbouncer(directory, service.database_url, servers=SERVER_CONNECTIONS)
        )
        replica = stack.enter_context(Replica(directory, service.database_url))
        setups = {
            "direct": service,
            "PgBouncer": stack.enter_context(
                _another_gunicorn(service, directory, DATABASE_URL=pgbouncer_url, DATABASE_POOL_MODE="transaction")
            ),
            "replica": stack.enter_context(_another_gunicorn(service, directory, DATABASE_READ_URL=replica.url)),
        }
        print(f"| request | setup | {_COLUMNS} |\n{'|---' * (_COLUMNS.count('|') + 3)}|")
        for load in loads(events=EVENTS, deepest_page=1):
            if not load.name.startswith(LOADS):
                continue
            runs: dict[str, list[Figures]] = {name: [] for name in setups}
            for _ in range(options.rounds):
                for name, setup in setups.items():
                    runs[name].append(run_wrk(setup, load, directory, seconds=options.seconds))
            direct = Figures.median(runs["direct"])
            for name, figures in runs.items():
                print(_line(load.name, name, Figures.median(figures), direct), flush=True)
        found = violations(service)
    print("\n".join(["VIOLATIONS", *found]) if found else "No event was oversold, and each booking has its email.")
    return 1 if found else 0


@contextmanager
def _another_gunicorn(service: Service, directory: Path, **settings: str) -> Iterator[Service]:
    """Run another gunicorn with the same data but other database settings."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gunicorn", f"--bind={url[7:]}", "wsgi:app"]
    server = Child("gunicorn", command, environment={**os.environ, **settings}, log=directory / f"{url[17:]}.log")
    try:
        server.wait_until_ready(lambda: httpx.get(f"{url}/health/ready").raise_for_status())
        yield replace(service, url=url, server=server)
    finally:
        server.stop()


def _line(load: str, setup: str, figures: Figures, direct: Figures) -> str:
    cells = [
        load,
        setup,
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
