"""Compares the service with the same work in PostgreSQL, and with a bare Flask route.

    scripts/benchmark [--rounds 3] [--seconds 10] [--only NAME ...] [--large] [--requests N] [--output FILE]

Runs of the service alternate with runs of its counterpart, because the machine may be busy. Compare the ratios of their
medians. PostgreSQL keeps its durability settings, and the worker sends the emails for bookings at the same time. After
each round, the script checks that no event is oversold and that each booking has its email.

The load `on sale` measures readers and buyers, alone and together. `inventory` measures single requests that move many
bookings, such as a release that promotes 1,000 waiting parties. `--large` adds measurements with 1,000,000 bookings
and 100,000 events. `--requests` adds the time that processes take to start, and their memory over N requests.

Writes Markdown tables to FILE. Exits with status 1 if a check fails, and with 2 if wrk is not installed.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.benchmarks.inventory import measure_inventory
from scripts.benchmarks.loads import READING, Load, loads
from scripts.benchmarks.measure import Figures, body_size, missing_wrk, run_pgbench, run_wrk
from scripts.benchmarks.on_sale import Sale, measure_sale, sale_table
from scripts.benchmarks.processes import replacement_seconds, resident_mebibytes, sample_memory
from scripts.benchmarks.report import table
from scripts.benchmarks.service import Service, fill_tables, mark_emails_sent, running_service
from scripts.benchmarks.verify import violations

SMALL = {"events": 1_000, "bookings": 1_000}
LARGE = {"events": 100_000, "bookings": 1_000_000}
OUTPUT = Path(".local/benchmark.md")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="duration of each run (default: 10)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run only loads whose names begin with a NAME")
    parser.add_argument("--large", action="store_true", help="also measure with large tables")
    parser.add_argument("--requests", type=int, default=0, help="also measure memory over this many requests")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help=f"default: {OUTPUT}")
    options = parser.parse_args()
    if missing := missing_wrk():
        print(missing, file=sys.stderr)
        return 2
    tables = [f"{os.cpu_count()} cores, {options.rounds} rounds of {options.seconds} s."]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, running_service(Path(directory)) as service:
        found: list[str] = []
        results = {}
        for name, size in {"small": SMALL, **({"large": LARGE} if options.large else {})}.items():
            tables.append(f"With {size['events']:,} events and {size['bookings']:,} bookings:")
            print(f"\nfilling the tables: {size['events']} events, {size['bookings']} bookings", flush=True)
            mark_emails_sent(service)
            fill_tables(service, **size)
            results[name] = _measure(service, options, Path(directory), found, events=size["events"])
            if results[name]:
                tables.append(table(results[name], small=results["small"] if name == "large" else None))
        if _is_wanted("on sale", options):
            tables.append(_measure_sales(service, options, Path(directory), found))
        if _is_wanted("inventory", options):
            tables.append(measure_inventory(service, rounds=options.rounds))
            found += violations(service)
        mark_emails_sent(service)
        if options.requests:
            tables.append(_measure_processes(service, Path(directory), requests=options.requests))
        found += violations(service)
    report = "\n\n".join(tables)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(f"{report}\n")
    print(f"\n{report}\n")
    print("\n".join(["VIOLATIONS", *found]) if found else "No event was oversold, and each booking has its email.")
    return 1 if found else 0


def _is_wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or name.startswith(tuple(options.only))


def _measure_sales(service: Service, options: argparse.Namespace, directory: Path, found: list[str]) -> str:
    sales: dict[str, list[Sale]] = {load.name: [] for load in READING}
    for number in range(1, options.rounds + 1):
        for load in READING:
            sale = measure_sale(service, load, directory, seconds=options.seconds)
            sales[load.name].append(sale)
            print(f"on sale, {load.name}, round {number}: shares {sale.shares:.2f}", flush=True)
            found += violations(service)
            found += [f"on sale, {load.name}: {sale.errors} errors"] if sale.errors else []
    return sale_table(sales)


def _measure(
    service: Service, options: argparse.Namespace, directory: Path, found: list[str], *, events: int
) -> list[dict[str, Any]]:
    results = []
    for load in loads(events=events, deepest_page=events // 50):
        if not _is_wanted(load.name, options):
            continue
        bare_size = None if load.pgbench else body_size(service, load, directory)
        ours, theirs = [], []
        for number in range(1, options.rounds + 1):
            ours.append(run_wrk(service, load, directory, seconds=options.seconds))
            theirs.append(_run_counterpart(service, load, directory, options.seconds, bare_size))
            print(f"{load.name}, round {number}: {ours[-1].rate:.0f}/s vs. {theirs[-1].rate:.0f}/s", flush=True)
            found += violations(service)
        with_64 = run_wrk(service, load, directory, seconds=max(1, options.seconds // 2), connections=64)
        found += violations(service)
        our, their = Figures.median(ours), Figures.median(theirs)
        results.append(
            {
                "name": load.name,
                "compared_with": "PostgreSQL" if load.pgbench else "bare route",
                "goal": load.goal,
                "ratio": round(our.rate / their.rate, 3),
                "ours": our.as_dict(),
                "theirs": their.as_dict(),
                "with_64": with_64.as_dict(),
            }
        )
        found += [f"{load.name}: {count} errors" for count in (our.errors, with_64.errors) if count]
    return results


def _measure_processes(service: Service, directory: Path, *, requests: int) -> str:
    """Measure the startup time, replacement time and memory of gunicorn's processes."""
    replaced = replacement_seconds(service)
    lines = [
        f"gunicorn starts within {service.start_seconds:.1f} s and replaces a process within {replaced * 1000:.0f} ms.",
        "\n| requests | private MiB of each process |\n|---|---|",
    ]
    for sent, sizes in sample_memory(service, loads(events=1, deepest_page=1), directory, requests=requests):
        lines.append(f"| {sent} | {', '.join(map(str, sizes))} |")
        print(lines[-1], flush=True)
    lines.append(f"\nIncluding shared memory: {', '.join(map(str, resident_mebibytes(service)))} MiB.")
    return "\n".join(lines)


def _run_counterpart(service: Service, load: Load, directory: Path, seconds: int, bare_size: int | None) -> Figures:
    if bare_size is None:
        return run_pgbench(service, load, directory, seconds=seconds)
    return run_wrk(service, load, directory, seconds=seconds, bare_size=bare_size)


if __name__ == "__main__":
    sys.exit(main())
