"""How fast the service is, beside raw PostgreSQL doing the same work and a bare Flask route on the same gunicorn.

    scripts/benchmark [--rounds 3] [--seconds 10] [--only NAME ...] [--large] [--requests N] [--output DIRECTORY]

Each kind of request runs in turns with what it is compared with, A B A B; what counts is the ratio of the medians,
since the machine is busy with other things, too. PostgreSQL keeps its durability, the worker sends the mails of the
bookings meanwhile, and after each round nothing may be oversold and each booking must have its mail. `--large` also
measures with 1,000,000 bookings and 100,000 events in the tables, `--requests` how long processes take to start and
what they hold in memory, while they answer so many. Exit status 1 when something was wrong, and 2
without wrk. Writes `benchmark.json` and `benchmark.svg`.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.benchmarks.loads import Load, loads
from scripts.benchmarks.measure import Figures, missing_wrk, run_pgbench, run_wrk, size_of_answer
from scripts.benchmarks.processes import memory_over, replacement_seconds, resident_mebibytes
from scripts.benchmarks.report import chart, table
from scripts.benchmarks.site import Site, grow, running_site, settle
from scripts.benchmarks.verify import mistakes

SMALL = {"events": 1_000, "bookings": 1_000}
LARGE = {"events": 100_000, "bookings": 1_000_000}


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of each run (default: 10)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="kinds of requests, by the beginning of their name")
    parser.add_argument("--large", action="store_true", help="measure with full tables, too")
    parser.add_argument(
        "--requests", type=int, default=0, help="look at the memory of the processes over so many requests, too"
    )
    parser.add_argument("--output", type=Path, default=Path(), help="directory for JSON and chart (default: here)")
    options = parser.parse_args()
    if missing := missing_wrk():
        print(missing, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, running_site(Path(directory)) as site:
        found: list[str] = []
        results = {}
        for name, size in {"small": SMALL, **({"large": LARGE} if options.large else {})}.items():
            print(f"\nfilling the tables: {size['events']} events, {size['bookings']} bookings", flush=True)
            settle(site)
            grow(site, **size)
            results[name] = _measure(site, options, Path(directory), found, events=size["events"])
            print(f"\n{table(results[name], beside=results['small'] if name == 'large' else None)}", flush=True)
        settle(site)
        processes = _look_at_processes(site, Path(directory), requests=options.requests) if options.requests else {}
        found += mistakes(site)
    report = {
        "cores": os.cpu_count(),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "results": results,
        **processes,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "benchmark.json").write_text(json.dumps(report, indent=1))
    (options.output / "benchmark.svg").write_text(chart(results["small"]))
    print("\n".join(["WRONG", *found]) if found else "nothing was oversold, and each booking has its mail")
    return 1 if found else 0


def _measure(
    site: Site, options: argparse.Namespace, directory: Path, found: list[str], *, events: int
) -> list[dict[str, Any]]:
    wanted = [
        load
        for load in loads(events=events, deepest_page=events // 50)
        if not options.only or load.name.startswith(tuple(options.only))
    ]
    results = []
    for load in wanted:
        bare_size = None if load.pgbench else size_of_answer(site, load, directory)
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


def _look_at_processes(site: Site, directory: Path, *, requests: int) -> dict[str, Any]:
    """Start, memory, and what becomes of it, printed and as figures."""
    replaced = replacement_seconds(site)
    print(
        f"\ngunicorn answers {site.start_seconds:.1f} s after its start; a process that ended is replaced in", end=" "
    )
    print(f"{replaced * 1000:.0f} ms\n\n| requests | MiB of each process alone |\n|---|---|", flush=True)
    samples = []
    for answered, sizes in memory_over(site, loads(events=1, deepest_page=1), directory, requests=requests):
        samples.append({"requests": answered, "mebibytes": sizes})
        print(f"| {answered} | {', '.join(map(str, sizes))} |", flush=True)
    resident = resident_mebibytes(site)
    print(f"\nresident, with what they share: {', '.join(map(str, resident))} MiB")
    return {"start": site.start_seconds, "replacement": replaced, "memory": samples, "resident": resident}


def _compared(site: Site, load: Load, directory: Path, seconds: int, bare_size: int | None) -> Figures:
    if bare_size is None:
        return run_pgbench(site, load, directory, seconds=seconds)
    return run_wrk(site, load, directory, seconds=seconds, bare_size=bare_size)


if __name__ == "__main__":
    sys.exit(main())
