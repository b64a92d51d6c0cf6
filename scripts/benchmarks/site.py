"""The service as in production, on real servers of its own, beside the bare route; and tables of any size.

PostgreSQL with its default durability (fsync, synchronous_commit), Valkey, an SMTP server that takes each mail and
drops it, gunicorn with the settings of this machine, a Celery worker with beat.
"""

import os
import smtplib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import psycopg2
import psycopg2.extensions
from flask_migrate import upgrade

from bookings_api import create_app
from bookings_api.accounts.passwords import hash_password
from bookings_api.accounts.tokens import issue_tokens
from bookings_api.extensions import db
from bookings_api.local_stack.processes import ROOT, Child, free_port
from bookings_api.local_stack.servers import LocalStack
from bookings_api.models import Login
from config import LIMITS, Config

USERS = 100
# Mail can wait for a moment, and people cannot; on machines of their own the worker and the mail server would take
# nothing from them.
MAIL_NICENESS = 19
PASSWORD = "a password for the benchmark"  # noqa: S105 - of accounts that live as long as the benchmark
HOT_EVENT = UUID("00000000-0000-7000-8000-0000000f0001")
SOLD_OUT_EVENT = UUID("00000000-0000-7000-8000-0000000f0002")

# All limits count, and refuse nobody: the clients of the benchmark are in more of a hurry than people.
SETTINGS = {
    "PUBLIC_URL": "http://localhost",
    "ENV_FILE": os.devnull,
    **dict.fromkeys(LIMITS, "100000000 per minute"),
}


@dataclass(frozen=True)
class Site:
    """Where everything is, and the processes whose CPU time is counted."""

    url: str
    bare_url: str
    database_url: str
    postgres: Child
    server: Child
    worker: Child
    tokens: Sequence[str]
    start_seconds: float

    @contextmanager
    def cursor(self) -> Iterator[psycopg2.extensions.cursor]:
        """A way to PostgreSQL beside the service; each statement is its own transaction."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            connection.autocommit = True
            yield connection.cursor()


def event_id(number: int) -> UUID:
    """The id of one of the events between which bookings are spread, from 1 on."""
    return UUID(f"00000000-0000-7000-8000-{number:012x}")


@contextmanager
def running_site(directory: Path) -> Iterator[Site]:
    """Start everything, and stop it in the end."""
    with LocalStack(directory) as stack:
        postgres = stack.start_postgres()
        stack.start_valkey()
        port = free_port()
        children = [
            Child(
                "SMTP sink",
                [sys.executable, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink", "-l", f"127.0.0.1:{port}"],
            )
        ]
        children[0].wait_until_ready(lambda: smtplib.SMTP("127.0.0.1", port).quit())
        os.environ |= stack.defaults | stack.settings | SETTINGS | {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(port)}
        tokens = _prepare()

        def start(name: str, *command: str) -> Child:
            log = directory / f"{name}.log"
            children.append(Child(name, [sys.executable, "-m", *command], log=log))
            return children[-1]

        try:
            url, bare_url = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
            began_at = time.monotonic()
            server = start("gunicorn", "gunicorn", f"--bind={url[7:]}", "wsgi:app")
            server.wait_until_ready(lambda: httpx.get(f"{url}/health/live"))
            start_seconds = time.monotonic() - began_at
            bare = start("bare", "gunicorn", f"--bind={bare_url[7:]}", "scripts.benchmarks.bare:app")
            bare.wait_until_ready(lambda: httpx.get(f"{bare_url}/1"))
            worker = start("worker", "celery", "--quiet", "--app=wsgi.celery", "worker", "--beat")
            for child in (worker, children[0]):
                _give_way(child)
            yield Site(url, bare_url, stack.settings["DATABASE_URL"], postgres, server, worker, tokens, start_seconds)
        finally:
            for child in reversed(children):
                child.stop()


def _give_way(child: Child) -> None:
    os.setpriority(os.PRIO_PROCESS, child.pid, MAIL_NICENESS)  # before it has children
    group = Path(f"/proc/{child.pid}/autogroup")
    if group.exists():  # Linux weighs sessions against each other, and processes only within theirs: sched(7)
        group.write_text(str(MAIL_NICENESS))


def settle(site: Site) -> None:
    """Have no mail waiting, as if the worker had had the time: what comes next is measured without its work."""
    with site.cursor() as cursor:
        cursor.execute("UPDATE outbox_emails SET status = 'sent', sent_at = now() WHERE status = 'pending'")


def grow(site: Site, *, events: int, bookings: int) -> None:
    """Bring the tables to so many events and bookings, as if they had been made long ago and their mail pruned."""
    with site.cursor() as cursor:
        cursor.execute(_GROW_EVENTS, {"events": events})
        cursor.execute(_GROW_BOOKINGS, {"bookings": bookings, "events": events, "users": USERS})
        cursor.execute(_COUNT_TICKETS)
        cursor.execute(_KEYS)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def _prepare() -> list[str]:
    """Migrate, and make accounts that are logged in; their access tokens."""
    app = create_app(Config.from_environment(Path(os.devnull)))
    app.config["JWT_ACCESS_TOKEN_EXPIRES"] *= 100  # it outlasts the benchmark
    with app.app_context():
        upgrade(str(ROOT / "migrations"))
        connection = db.session.connection().connection
        cursor = connection.cursor()
        cursor.execute(_ACCOUNTS, {"users": USERS, "hash": hash_password(PASSWORD)})
        cursor.execute(_FIXED_EVENTS, {"hot": str(HOT_EVENT), "sold_out": str(SOLD_OUT_EVENT)})
        tokens = [issue_tokens(login)["access_token"] for login in db.session.query(Login)]
        db.session.remove()
        db.engine.dispose()
    return tokens


_ACCOUNTS = """
INSERT INTO users (id, email, name, password_hash, role)
SELECT id, 'user' || n || '@example.com', 'User ' || n, %(hash)s, CASE n WHEN 1 THEN 'organizer' ELSE 'user' END
FROM (SELECT n, ('00000000-0000-7000-a000-' || lpad(to_hex(n), 12, '0'))::uuid AS id
      FROM generate_series(1, %(users)s) AS n) AS numbered;
INSERT INTO logins (id, user_id, refresh_jti, expires_at)
SELECT id, id, gen_random_uuid(), now() + interval '1 day' FROM users;
"""
_EVENT = """
INSERT INTO events (
    id, organizer_id, title, description, location, timezone, starts_at, ends_at, capacity, tickets_booked, status
)
"""
_FIXED_EVENTS = f"""
{_EVENT} SELECT id, organizer, 'An Evening of Chamber Music', 'Quartets.', 'Konzerthaus', 'Europe/Berlin',
       now() + interval '20 years', now() + interval '20 years 2 hours', capacity, booked, 'published'
FROM (VALUES (%(hot)s::uuid, 1000000, 0), (%(sold_out)s::uuid, 1, 1)) AS fixed (id, capacity, booked),
     (SELECT id AS organizer FROM users WHERE role = 'organizer') AS organizers;
INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, created_at)
SELECT uuidv7(), 'SOLDOUT', %(sold_out)s::uuid, id, 1, name, email, now() - interval '300 days'
FROM users WHERE role = 'organizer';
"""  # noqa: S608 - no value of anybody's
_GROW_EVENTS = f"""
{_EVENT} SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, organizer, 'Concert ' || n,
       repeat('Quartets by Haydn, Schubert and Bartók. ', 5), 'Konzerthaus Berlin', 'Europe/Berlin',
       now() + n * interval '1 minute' + interval '10 days', now() + n * interval '1 minute' + interval '11 days',
       1000000, 0, 'published'
FROM generate_series(1, %(events)s) AS n, (SELECT id AS organizer FROM users WHERE role = 'organizer') AS organizers
ON CONFLICT DO NOTHING
"""  # noqa: S608 - as above
_GROW_BOOKINGS = """
INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, created_at)
SELECT uuidv7(- interval '300 days' + n * interval '1 second'), upper(lpad(to_hex(n), 10, '0')),
       ('00000000-0000-7000-8000-' || lpad(to_hex(1 + n %% %(events)s), 12, '0'))::uuid,
       accounts.ids[1 + n %% %(users)s], 1, 'Grace Hopper', 'grace@example.com', now() - interval '300 days'
FROM generate_series((SELECT count(*) FROM bookings WHERE guest_name = 'Grace Hopper') + 1, %(bookings)s) AS n,
     (SELECT array_agg(id) AS ids FROM users) AS accounts
"""
# Those of the last day; without any, PostgreSQL would plan for an empty table, and stay with that for a while.
_KEYS = """
INSERT INTO idempotency_keys (user_id, key, request_hash, response)
SELECT user_id, id::text, decode(repeat('00', 32), 'hex'), '{}' FROM bookings ORDER BY id DESC LIMIT 10000
ON CONFLICT DO NOTHING
"""
_COUNT_TICKETS = """
UPDATE events SET tickets_booked = held.tickets
FROM (SELECT event_id, sum(ticket_count) AS tickets FROM bookings GROUP BY event_id) AS held
WHERE held.event_id = events.id AND tickets_booked <> held.tickets
"""
