"""Measures the service next to PostgreSQL doing the same work and next to a bare Flask route on the same gunicorn.

    scripts/benchmark [--rounds 3] [--seconds 10] [--only NAME ...] [--large] [--requests N] [--output FILE]

Each kind of request alternates with its counterpart, A B A B. The ratio of the medians counts, because the machine may
be busy. PostgreSQL keeps its durability settings, and the worker sends the bookings' emails at the same time. After
each round, no event may be oversold and each booking must have its email. `on sale` measures readers
and buyers alone and together. `--large` also measures with 1,000,000 bookings and 100,000 events. `--requests` also
measures how long processes take to start and how much memory they use over that many requests.

The tables are written to FILE in Markdown. The exit status is 1 when a check failed, and 2 without wrk.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.benchmarks.loads import READING, Load, loads
from scripts.benchmarks.measure import Figures, body_size, missing_wrk, run_pgbench, run_wrk
from scripts.benchmarks.on_sale import Sale, measure_sale, sale_table
from scripts.benchmarks.processes import memory_over, replacement_seconds, resident_mebibytes
from scripts.benchmarks.report import table
from scripts.benchmarks.site import Site, grow, running_site, settle
from scripts.benchmarks.verify import mistakes

SMALL = {"events": 1_000, "bookings": 1_000}
LARGE = {"events": 100_000, "bookings": 1_000_000}
OUTPUT = Path(".local/benchmark.md")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="duration of each run (default: 10)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="loads whose names begin with one of these")
    parser.add_argument("--large", action="store_true", help="also measure with full tables")
    parser.add_argument("--requests", type=int, default=0, help="also measure memory over this many requests")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help=f"default: {OUTPUT}")
    options = parser.parse_args()
    if missing := missing_wrk():
        print(missing, file=sys.stderr)
        return 2
    tables = [f"{os.cpu_count()} cores, {options.rounds} rounds of {options.seconds} s."]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, running_site(Path(directory)) as site:
        found: list[str] = []
        results = {}
        for name, size in {"small": SMALL, **({"large": LARGE} if options.large else {})}.items():
            tables.append(f"With {size['events']:,} events and {size['bookings']:,} bookings:")
            print(f"\nfilling the tables: {size['events']} events, {size['bookings']} bookings", flush=True)
            settle(site)
            grow(site, **size)
            results[name] = _measure(site, options, Path(directory), found, events=size["events"])
            if results[name]:
                tables.append(table(results[name], beside=results["small"] if name == "large" else None))
        if _is_wanted("on sale", options):
            tables.append(_measure_sales(site, options, Path(directory), found))
        settle(site)
        if options.requests:
            tables.append(_measure_processes(site, Path(directory), requests=options.requests))
        found += mistakes(site)
    report = "\n\n".join(tables)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(f"{report}\n")
    print(f"\n{report}\n")
    print("\n".join(["FAILED", *found]) if found else "No event was oversold, and each booking has its email.")
    return 1 if found else 0


def _is_wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or name.startswith(tuple(options.only))


def _measure_sales(site: Site, options: argparse.Namespace, directory: Path, found: list[str]) -> str:
    sales: dict[str, list[Sale]] = {load.name: [] for load in READING}
    for number in range(1, options.rounds + 1):
        for load in READING:
            sale = measure_sale(site, load, directory, seconds=options.seconds)
            sales[load.name].append(sale)
            print(f"on sale, {load.name}, round {number}: shares {sale.shares:.2f}", flush=True)
            found += mistakes(site)
            found += [f"on sale, {load.name}: {sale.errors} errors"] if sale.errors else []
    return sale_table(sales)


def _measure(
    site: Site, options: argparse.Namespace, directory: Path, found: list[str], *, events: int
) -> list[dict[str, Any]]:
    results = []
    for load in loads(events=events, deepest_page=events // 50):
        if not _is_wanted(load.name, options):
            continue
        bare_size = None if load.pgbench else body_size(site, load, directory)
        ours, theirs = [], []
        for number in range(1, options.rounds + 1):
            ours.append(run_wrk(site, load, directory, seconds=options.seconds))
            theirs.append(_compared(site, load, directory, options.seconds, bare_size))
            print(f"{load.name}, round {number}: {ours[-1].rate:.0f}/s beside {theirs[-1].rate:.0f}/s", flush=True)
            found += mistakes(site)
        crowd = run_wrk(site, load, directory, seconds=max(1, options.seconds // 2), connections=64)
        found += mistakes(site)
        our, their = Figures.median(ours), Figures.median(theirs)
        results.append(
            {
                "name": load.name,
                "beside": "PostgreSQL" if load.pgbench else "bare route",
                "goal": load.goal,
                "ratio": round(our.rate / their.rate, 3),
                "ours": our.as_dict(),
                "theirs": their.as_dict(),
                "at_64": crowd.as_dict(),
            }
        )
        found += [f"{load.name}: {count} errors" for count in (our.errors, crowd.errors) if count]
    return results


def _measure_processes(site: Site, directory: Path, *, requests: int) -> str:
    """Start, replacement and memory of gunicorn's processes."""
    replaced = replacement_seconds(site)
    lines = [
        f"gunicorn is ready after {site.start_seconds:.1f} s. It replaces a dead process in {replaced * 1000:.0f} ms.",
        "\n| requests | MiB of each process alone |\n|---|---|",
    ]
    for sent, sizes in memory_over(site, loads(events=1, deepest_page=1), directory, requests=requests):
        lines.append(f"| {sent} | {', '.join(map(str, sizes))} |")
        print(lines[-1], flush=True)
    lines.append(f"\nResident, including shared memory: {', '.join(map(str, resident_mebibytes(site)))} MiB.")
    return "\n".join(lines)


def _compared(site: Site, load: Load, directory: Path, seconds: int, bare_size: int | None) -> Figures:
    if bare_size is None:
        return run_pgbench(site, load, directory, seconds=seconds)
    return run_wrk(site, load, directory, seconds=seconds, bare_size=bare_size)


if __name__ == "__main__":
    sys.exit(main())
