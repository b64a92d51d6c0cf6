"""Runs mixed load with random faults for some minutes, then checks the guarantees of the service.

    scripts/soak [--minutes 15] [--seed N] [--clients 6]

Uses the cluster, load generator and invariants of tests/faults. The seed determines the order of the faults and the
actions of each client. The timing also depends on the machine. Exits with status 1 if an invariant is broken.
"""

import argparse
import logging
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import redis
import sqlalchemy as sa

from bookings_api.models import UNSENT, Event, OutboxEmail
from tests.conftest import FIXED_SETTINGS
from tests.faults.cluster import Cluster, hung
from tests.faults.invariants import violations
from tests.faults.load_generator import SharedState, SimulatedUser
from tests.local_stack.running import descendants

RECOVERY_SECONDS = 10
# With a MAIL_TIMEOUT of 3 s, the lease of an email that a killed worker has claimed ends within 66 s.
DELIVERY_SECONDS = 150
SETTINGS = {**FIXED_SETTINGS, "MAIL_TIMEOUT": "3"}


class Faults:
    """Injects faults. Records the number of each fault and the longest time that the service took to recover."""

    def __init__(self, cluster: Cluster, rng: random.Random) -> None:
        self.cluster = cluster
        self.rng = rng
        self.counts: Counter[str] = Counter()
        self.recoveries: dict[str, float] = {}
        self._next: list[str] = []
        self._all: dict[str, Callable[[], None]] = {
            "API worker killed": self._kill_api_worker,
            "Celery child killed": self._kill_celery_child,
            "PostgreSQL restarted": cluster.restart_postgres,
            "PostgreSQL hung for 5 s": partial(self._hang, "postgres", 5),
            "Redis stopped for 3 s": self._stop_redis,
            "Redis hung for 3 s": partial(self._hang, "valkey", 3),
            "Redis flushed": self._flush_redis,
            "SMTP stopped for 3 s": self._stop_smtp,
            "SMTP returns 450 for 3 s": self._refuse_emails,
        }

    def inject_one(self) -> str:
        """Inject the next fault and wait until the service is healthy again."""
        if not self._next:
            # every fault occurs once before any fault is repeated
            self._next = self.rng.sample(sorted(self._all), len(self._all))
        name = self._next.pop()
        self.counts[name] += 1
        self._all[name]()
        for child in (self.cluster.server, self.cluster.worker, self.cluster.beat):
            child.require_running()
        began = time.monotonic()
        while not self._is_healthy():
            if time.monotonic() - began > 6 * RECOVERY_SECONDS:
                break
            time.sleep(0.1)
        seconds = time.monotonic() - began
        self.recoveries[name] = max(seconds, self.recoveries.get(name, 0))
        return f"{name}; recovered after {seconds:.1f} s"

    def _is_healthy(self) -> bool:
        try:
            return bool(httpx.get(f"{self.cluster.url}/health/ready", timeout=5).json()["status"] == "ok")
        except httpx.TransportError:
            return False

    def _kill_api_worker(self) -> None:
        os.kill(self.rng.choice(self.cluster.api_processes()), signal.SIGKILL)

    def _kill_celery_child(self) -> None:
        os.kill(self.rng.choice(sorted(descendants(self.cluster.worker.pid))), signal.SIGKILL)

    def _hang(self, server: str, seconds: float) -> None:
        with hung(getattr(self.cluster, server)):
            time.sleep(seconds)

    def _stop_redis(self) -> None:
        self.cluster.stop_valkey()
        time.sleep(3)
        self.cluster.start_valkey()

    def _flush_redis(self) -> None:
        with redis.Redis.from_url(self.cluster.environment["REDIS_URL"]) as connection:
            connection.flushall()

    def _stop_smtp(self) -> None:
        with self.cluster.smtp.stopped():
            time.sleep(3)

    def _refuse_emails(self) -> None:
        with self.cluster.smtp.responding(mail="450 4.7.1 later"):
            time.sleep(3)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--clients", type=int, default=6)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # aiosmtpd and Celery's client would log every fault
    print(f"seed {options.seed}, {options.minutes:g} minutes, {options.clients} clients", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory, Cluster(Path(directory), SETTINGS) as cluster:
        return _soak(cluster, options)


def _soak(cluster: Cluster, options: argparse.Namespace) -> int:
    rng = random.Random(options.seed)  # noqa: S311 - not used for security
    shared, faults, finished = SharedState(cluster.url), Faults(cluster, rng), threading.Event()
    clients = [SimulatedUser(shared, random.Random(f"{options.seed} {number}")) for number in range(options.clients)]  # noqa: S311 - as above
    began = time.monotonic()
    with ThreadPoolExecutor(options.clients) as pool:
        running = [pool.submit(client.run, finished) for client in clients]
        try:
            while time.monotonic() - began < options.minutes * 60:
                time.sleep(rng.uniform(2, 8))
                print(f"{time.monotonic() - began:6.1f} s  {faults.inject_one()}", flush=True)
        finally:
            finished.set()
    for client in running:
        client.result()
    return _report(cluster, shared, faults)


def _report(cluster: Cluster, shared: SharedState, faults: Faults) -> int:
    unsent = _deliver(cluster)
    with cluster.database.connect() as connection:
        events = set(connection.scalars(sa.select(Event.id)))
    found = violations(
        cluster.database, cluster.smtp, shared.history, events, max_repeats=faults.counts["Celery child killed"]
    )
    found += [
        f"{count} unexpected responses: {response}"
        for response, count in shared.responses.items()
        if shared.is_wrong(response)
    ]
    found += [
        f"{name}: not recovered within {RECOVERY_SECONDS} s ({seconds:.1f} s)"
        for name, seconds in faults.recoveries.items()
        if seconds > RECOVERY_SECONDS
    ]
    found += [f"{unsent} emails are unsent, and none was sent within {DELIVERY_SECONDS} s"] if unsent else []
    found += cluster.server.log_lines("unhandled exception")
    print("\nfaults, and the longest recovery")
    for name, count in sorted(faults.counts.items()):
        print(f"{count:>6}  {name:<28}{faults.recoveries[name]:>6.1f} s")
    print("\nresponses")
    for response, count in sorted(shared.responses.items()):
        print(f"{count:>6}  {response}")
    history = shared.history
    print(f"\nslowest response: {shared.slowest:.1f} s")
    print(f"bookings: {len(history.acknowledged)} acknowledged, {len(history.unknown)} unknown; {len(events)} events")
    copies = cluster.smtp.copies()
    print(f"emails accepted by the SMTP server: {copies.total()}, of which duplicates: {copies.total() - len(copies)}")
    print("\n".join(["VIOLATIONS", *found]) if found else "no violations")
    return 1 if found else 0


def _deliver(cluster: Cluster) -> int:
    """Wait until all emails are sent, or none for `DELIVERY_SECONDS`. Returns the number of unsent emails."""
    fewest, since = sys.maxsize, time.monotonic()
    while True:
        with sa.orm.Session(cluster.database) as session:
            unsent = session.scalar(sa.select(sa.func.count()).where(OutboxEmail.status.in_(UNSENT))) or 0
        if unsent < fewest:
            fewest, since = unsent, time.monotonic()
        if not unsent or time.monotonic() - since > DELIVERY_SECONDS:
            return unsent
        cluster.make_emails_due()
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
