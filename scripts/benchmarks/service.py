"""Runs the service as in production, and the bare route for comparison. Fills tables with any number of rows.

PostgreSQL has its default durability (fsync, synchronous_commit), gunicorn uses all cores, and the Celery worker
includes beat. The SMTP server discards all emails.
"""

import os
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
# The low priority of the worker and the SMTP server, which take no CPU time from the API in production.
NICENESS = 19
PASSWORD = "a password for the benchmark"  # noqa: S105 - for accounts that exist only during the benchmark
HOT_EVENT = UUID("00000000-0000-7000-8000-0000000f0001")
SOLD_OUT_EVENT = UUID("00000000-0000-7000-8000-0000000f0002")

# With these settings, requests are counted but never reach a rate limit.
SETTINGS = {
    "PUBLIC_URL": "http://localhost",
    "ENV_FILE": os.devnull,
    **dict.fromkeys(LIMITS, "100000000 per minute"),
}


@dataclass(frozen=True)
class Service:
    """The running service, with its addresses and the processes whose CPU time is measured."""

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
        """Connect to PostgreSQL in autocommit mode and yield a cursor."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            connection.autocommit = True
            yield connection.cursor()


def event_id(number: int) -> UUID:
    """Return the ID of the event with this number. `fill_tables` creates events with the numbers from 1."""
    return UUID(f"00000000-0000-7000-8000-{number:012x}")


@contextmanager
def running_service(directory: Path) -> Iterator[Service]:
    """Run all servers and processes for the duration of the block."""
    with LocalStack(directory) as stack:
        postgres = stack.start_postgres()
        stack.start_valkey()
        smtp_sink = stack.start_smtp_sink(discard=True)
        os.environ |= stack.defaults | stack.settings | SETTINGS
        tokens = _prepare()
        children: list[Child] = []

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
            for child in (worker, smtp_sink):
                _lower_priority(child)
            yield Service(
                url, bare_url, stack.settings["DATABASE_URL"], postgres, server, worker, tokens, start_seconds
            )
        finally:
            for child in reversed(children):
                child.stop()


def _lower_priority(child: Child) -> None:
    os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)  # its later children inherit the niceness
    group = Path(f"/proc/{child.pid}/autogroup")
    if group.exists():  # with autogroups, the niceness of a process has an effect only within its session, see sched(7)
        group.write_text(str(NICENESS))


def mark_emails_sent(service: Service) -> None:
    """Mark all pending emails as sent, so that the worker does not send them during the next measurement."""
    with service.cursor() as cursor:
        cursor.execute("UPDATE outbox_emails SET status = 'sent', sent_at = now() WHERE status = 'pending'")


def fill_tables(service: Service, *, events: int, bookings: int) -> None:
    """Fill the tables with events and old bookings, which have no emails."""
    with service.cursor() as cursor:
        cursor.execute(_INSERT_EVENTS, {"events": events})
        cursor.execute(_INSERT_BOOKINGS, {"bookings": bookings, "events": events, "users": USERS})
        cursor.execute(_COUNT_TICKETS)
        cursor.execute(_INSERT_KEYS)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def _prepare() -> list[str]:
    """Migrate the database, create accounts with logins, and return their access tokens."""
    app = create_app(Config.from_environment(Path(os.devnull)))
    app.config["JWT_ACCESS_TOKEN_EXPIRES"] *= 100  # longer than the benchmark
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
INSERT INTO users (id, email, name, password_hash)
SELECT id, 'user' || n || '@example.com', 'User ' || n, %(hash)s
FROM (SELECT n, ('00000000-0000-7000-a000-' || lpad(to_hex(n), 12, '0'))::uuid AS id
      FROM generate_series(1, %(users)s) AS n) AS numbered;
INSERT INTO memberships (organization_id, user_id, role)
SELECT organizations.id, users.id, CASE email WHEN 'user1@example.com' THEN 'organizer' ELSE 'user' END
FROM users, organizations;
INSERT INTO logins (id, user_id, refresh_jti, expires_at)
SELECT id, id, gen_random_uuid(), now() + interval '1 day' FROM users;
"""
_EVENT = """
INSERT INTO events (
    id, organization_id, organizer_id, title, description, location, timezone, starts_at, ends_at, capacity,
    tickets_booked, status
)
"""
# A ticket type for each event without one. For simplicity, it has the ID of its event.
_TYPES = """
INSERT INTO ticket_types (id, event_id, name) SELECT id, id, 'General admission' FROM events
ON CONFLICT DO NOTHING
"""
_FIXED_EVENTS = f"""
{_EVENT} SELECT id, organization_id, organizer, 'An Evening of Chamber Music', 'Quartets.', 'Konzerthaus',
       'Europe/Berlin', now() + interval '20 years', now() + interval '20 years 2 hours', capacity, booked, 'published'
FROM (VALUES (%(hot)s::uuid, 1000000, 0), (%(sold_out)s::uuid, 1, 1)) AS fixed (id, capacity, booked),
     (SELECT organization_id, user_id AS organizer FROM memberships WHERE role = 'organizer') AS organizers;
INSERT INTO bookings (
    id, reference, event_id, user_id, ticket_count, guest_name, guest_email, created_at, confirmed_at
)
SELECT uuidv7(), 'SOLDOUT', %(sold_out)s::uuid, id, 1, name, email, created, created
FROM users, (VALUES (now() - interval '300 days')) AS times (created) WHERE email = 'user1@example.com';
{_TYPES};
INSERT INTO booking_items (booking_id, ticket_type_id, count) SELECT bookings.id, event_id, 1 FROM bookings;
UPDATE ticket_types SET tickets_booked = 1 WHERE id = %(sold_out)s::uuid;
"""  # noqa: S608 - contains only constants
_INSERT_EVENTS = f"""
{_EVENT} SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, organization_id, organizer,
       'Concert ' || n,
       repeat('Quartets by Haydn, Schubert and Bartók. ', 5), 'Konzerthaus Berlin', 'Europe/Berlin',
       now() + n * interval '1 minute' + interval '10 days', now() + n * interval '1 minute' + interval '11 days',
       1000000, 0, 'published'
FROM generate_series(1, %(events)s) AS n,
     (SELECT organization_id, user_id AS organizer FROM memberships WHERE role = 'organizer') AS organizers
ON CONFLICT DO NOTHING;
{_TYPES}
"""  # noqa: S608 - as above
_INSERT_BOOKINGS = """
INSERT INTO bookings (
    id, reference, event_id, user_id, ticket_count, guest_name, guest_email, created_at, confirmed_at
)
SELECT uuidv7(- interval '300 days' + n * interval '1 second'), upper(lpad(to_hex(n), 10, '0')),
       ('00000000-0000-7000-8000-' || lpad(to_hex(1 + n %% %(events)s), 12, '0'))::uuid,
       accounts.ids[1 + n %% %(users)s], 1, 'Grace Hopper', 'grace@example.com', now() - interval '300 days',
       now() - interval '300 days'
FROM generate_series((SELECT count(*) FROM bookings WHERE guest_name = 'Grace Hopper') + 1, %(bookings)s) AS n,
     (SELECT array_agg(id) AS ids FROM users) AS accounts;
INSERT INTO booking_items (booking_id, ticket_type_id, count)
SELECT id, event_id, ticket_count FROM bookings WHERE guest_name = 'Grace Hopper'
ON CONFLICT DO NOTHING
"""
# Creates the idempotency keys of a day. For an empty table, PostgreSQL would use a bad plan for a while.
_INSERT_KEYS = """
INSERT INTO idempotency_keys (actor_id, key, request_hash, response)
SELECT user_id, id::text, decode(repeat('00', 32), 'hex'), '{}' FROM bookings ORDER BY id DESC LIMIT 10000
ON CONFLICT DO NOTHING
"""
_COUNT_TICKETS = """
UPDATE events SET tickets_booked = held.tickets
FROM (SELECT event_id, sum(ticket_count) AS tickets FROM bookings GROUP BY event_id) AS held
WHERE held.event_id = events.id AND tickets_booked <> held.tickets;
UPDATE ticket_types SET tickets_booked = events.tickets_booked FROM events WHERE events.id = event_id
"""
