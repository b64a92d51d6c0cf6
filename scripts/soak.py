"""Minutes of mixed load and random faults, and what the service held of its promises.

    scripts/soak [--minutes 15] [--seed N] [--clients 6]

Servers, faults and checker are those of tests/faults. The seed decides which faults come when, and what each client
wants; what really happens also depends on the machine. Exit status 1 if a promise was broken.
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
from tests.faults.checker import violations
from tests.faults.harness import Site, hung
from tests.faults.people import Client, World
from tests.local_stack.running import descendants

RECOVERY_SECONDS = 10
# The lease of a killed worker's mail is over within 66 s, with the time limit below.
DELIVERY_SECONDS = 150
SETTINGS = {**FIXED_SETTINGS, "MAIL_TIMEOUT": "3"}


class Faults:
    """What may happen to the servers; counts what did, and how long the service took to be well again."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.site = site
        self.chance = chance
        self.counts: Counter[str] = Counter()
        self.recoveries: dict[str, float] = {}
        self._next: list[str] = []
        self._all: dict[str, Callable[[], None]] = {
            "API worker killed": self._kill_api_worker,
            "Celery child killed": self._kill_celery_child,
            "PostgreSQL restarted": site.restart_postgres,
            "PostgreSQL stopped for 5 s": partial(self._hang, "postgres", 5),
            "Redis away for 3 s": self._stop_redis,
            "Redis hung for 3 s": partial(self._hang, "valkey", 3),
            "Redis flushed": self._flush_redis,
            "SMTP away for 3 s": self._close_post_office,
            "SMTP says 450 for 3 s": self._refuse_mail,
        }

    def one(self) -> str:
        """Let one happen, and wait until the service says that it is well."""
        if not self._next:
            # each once before any comes again
            self._next = self.chance.sample(sorted(self._all), len(self._all))
        name = self._next.pop()
        self.counts[name] += 1
        self._all[name]()
        for child in (self.site.server, self.site.worker, self.site.beat):
            child.require_running()
        began = time.monotonic()
        while not self._is_well():
            if time.monotonic() - began > 6 * RECOVERY_SECONDS:
                break
            time.sleep(0.1)
        took = time.monotonic() - began
        self.recoveries[name] = max(took, self.recoveries.get(name, 0))
        return f"{name}; well after {took:.1f} s"

    def _is_well(self) -> bool:
        try:
            return bool(httpx.get(f"{self.site.url}/health/ready", timeout=5).json()["status"] == "ok")
        except httpx.TransportError:
            return False

    def _kill_api_worker(self) -> None:
        os.kill(self.chance.choice(self.site.api_processes()), signal.SIGKILL)

    def _kill_celery_child(self) -> None:
        os.kill(self.chance.choice(sorted(descendants(self.site.worker.pid))), signal.SIGKILL)

    def _hang(self, server: str, seconds: float) -> None:
        with hung(getattr(self.site, server)):
            time.sleep(seconds)

    def _stop_redis(self) -> None:
        self.site.stop_valkey()
        time.sleep(3)
        self.site.start_valkey()

    def _flush_redis(self) -> None:
        with redis.Redis.from_url(self.site.environment["REDIS_URL"]) as connection:
            connection.flushall()

    def _close_post_office(self) -> None:
        with self.site.post_office.away():
            time.sleep(3)

    def _refuse_mail(self) -> None:
        with self.site.post_office.behaving(mail="450 4.7.1 later"):
            time.sleep(3)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--clients", type=int, default=6)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # of aiosmtpd and Celery's client: they see the faults, too
    print(f"seed {options.seed}, {options.minutes:g} minutes, {options.clients} clients", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory, Site(Path(directory), SETTINGS) as site:
        return _soak(site, options)


def _soak(site: Site, options: argparse.Namespace) -> int:
    chance = random.Random(options.seed)  # noqa: S311 - guards nothing
    world, faults, enough = World(site.url), Faults(site, chance), threading.Event()
    clients = [Client(world, random.Random(f"{options.seed} {number}")) for number in range(options.clients)]  # noqa: S311 - as above
    began = time.monotonic()
    with ThreadPoolExecutor(options.clients) as pool:
        running = [pool.submit(client.run, enough) for client in clients]
        try:
            while time.monotonic() - began < options.minutes * 60:
                time.sleep(chance.uniform(2, 8))
                print(f"{time.monotonic() - began:6.1f} s  {faults.one()}", flush=True)
        finally:
            enough.set()
    for client in running:
        client.result()
    return _report(site, world, faults)


def _report(site: Site, world: World, faults: Faults) -> int:
    unsent = _deliver(site)
    with site.database.connect() as connection:
        events = set(connection.scalars(sa.select(Event.id)))
    found = violations(
        site.database, site.post_office, world.history, events, repeats=faults.counts["Celery child killed"]
    )
    found += [f"{count} times: {answer}" for answer, count in world.answers.items() if world.is_wrong(answer)]
    found += [
        f"{name}: not well within {RECOVERY_SECONDS} s ({took:.1f} s)"
        for name, took in faults.recoveries.items()
        if took > RECOVERY_SECONDS
    ]
    found += [f"{unsent} mails stayed behind, none was sent for {DELIVERY_SECONDS} s"] if unsent else []
    found += site.server.lines_of_log("unhandled exception")
    print("\nfaults, and the longest time until the service was well again")
    for name, count in sorted(faults.counts.items()):
        print(f"{count:>6}  {name:<28}{faults.recoveries[name]:>6.1f} s")
    print("\nanswers")
    for answer, count in sorted(world.answers.items()):
        print(f"{count:>6}  {answer}")
    history = world.history
    print(f"\nslowest answer: {world.slowest:.1f} s")
    print(f"bookings: {len(history.acknowledged)} acknowledged, {len(history.unknown)} unknown; {len(events)} events;")
    copies = site.post_office.copies()
    print(
        f"mails accepted by the SMTP server: {copies.total()}, of which {copies.total() - len(copies)} had come before"
    )
    print("\n".join(["VIOLATIONS", *found]) if found else "held: every promise")
    return 1 if found else 0


def _deliver(site: Site) -> int:
    """End back-offs, and wait for leases, until all mail is out, however much it is; how many mails stay behind."""
    fewest, since = sys.maxsize, time.monotonic()
    while True:
        with sa.orm.Session(site.database) as session:
            unsent = session.scalar(sa.select(sa.func.count()).where(OutboxEmail.status.in_(UNSENT))) or 0
        if unsent < fewest:
            fewest, since = unsent, time.monotonic()
        if not unsent or time.monotonic() - since > DELIVERY_SECONDS:
            return unsent
        site.let_time_pass()
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
