"""Measures single requests that move many bookings: expired holds in the way, promotions, and cancelled events.

The time of the lock is measured from outside: another connection tries to lock the event every millisecond, and counts
how long it fails.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from uuid import UUID

import httpx
import psycopg2

from scripts.benchmarks.service import Service

HOLDS, PARTIES, BOOKINGS, WAITING = 100, 1_000, 50_000, 5_000
_EVENTS = {name: UUID(f"00000000-0000-7000-8000-0000000f010{n}") for n, name in enumerate(("holds", "party", "crowd"))}


def measure_inventory(service: Service, *, rounds: int) -> str:
    """Return a Markdown table with the medians of all rounds, in milliseconds."""
    results: dict[str, list[tuple[float, float]]] = {}
    for number in range(1, rounds + 1):
        for name, measure in _REQUESTS.items():
            measured = measure(service)
            results.setdefault(name, []).append(measured)
            print(f"{name}, round {number}: {measured[0]:.0f} ms, locked {measured[1]:.0f} ms", flush=True)
    lines = ["| request | total ms | locked ms |", "|---|---|---|"]
    for name, runs in results.items():
        total, locked = (median(run[column] for run in runs) for column in (0, 1))
        lines.append(f"| {name} | {total:.0f} | {locked:.0f} |")
    return "\n".join(lines)


def _book(service: Service) -> tuple[float, float]:
    event = _new_event(service, "holds", capacity=1_000_000)
    return _order(service, event, count=1, expected=201)


def _book_after_holds(service: Service) -> tuple[float, float]:
    event = _new_event(service, "holds", capacity=HOLDS)
    _insert(service, event, "held", HOLDS)
    return _order(service, event, count=1, expected=201)


def _refusal_after_holds(service: Service) -> tuple[float, float]:
    event = _new_event(service, "holds", capacity=HOLDS)
    _insert(service, event, "held", HOLDS)
    return _order(service, event, count=HOLDS + 1, expected=409)


def _promote(service: Service) -> tuple[float, float]:
    event = _new_event(service, "party", capacity=PARTIES)
    with service.cursor() as cursor:
        cursor.execute(_FULL_BOOKING, {"event": str(event), "count": PARTIES})
        [booking] = cursor.fetchone() or [None]
        cursor.execute(_COUNT, {"event": str(event)})
    _insert(service, event, "waitlisted", PARTIES)
    total, locked = _timed(service, event, "DELETE", f"/api/v1/bookings/{booking}")
    with service.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bookings WHERE event_id = %s AND status = 'confirmed'", [str(event)])
        if cursor.fetchone() != (PARTIES,):
            raise RuntimeError("not everyone was promoted")
    return total, locked


def _cancel(service: Service) -> tuple[float, float]:
    event = _new_event(service, "crowd", capacity=BOOKINGS)
    _insert(service, event, "confirmed", BOOKINGS)
    _insert(service, event, "waitlisted", WAITING)
    return _timed(service, event, "POST", f"/api/v1/events/{event}/cancel")


def _order(service: Service, event: UUID, *, count: int, expected: int) -> tuple[float, float]:
    body = {"event_id": str(event), "ticket_count": count}
    return _timed(service, event, "POST", "/api/v1/bookings/", json=body, expected=expected)


def _timed(
    service: Service, event: UUID, method: str, path: str, *, json: dict[str, object] | None = None, expected: int = 200
) -> tuple[float, float]:
    """Send a request as the organizer, the first user. Return its time and the time of the lock, in milliseconds."""
    headers = {"Authorization": f"Bearer {service.tokens[0]}"}
    with _watched(service, event) as locked:
        started = time.perf_counter()
        response = httpx.request(method, service.url + path, headers=headers, json=json, timeout=60)
        total = time.perf_counter() - started
    if response.status_code != expected:
        raise RuntimeError(response.text)
    return total * 1000, locked[0] * 1000


@contextmanager
def _watched(service: Service, event: UUID) -> Iterator[list[float]]:
    """Yield a list that contains, after the block, for how many seconds others could not lock the event."""
    seconds, done = [0.0], threading.Event()

    def watch() -> None:
        with service.cursor() as cursor:
            while not done.is_set():
                before = time.perf_counter()
                try:
                    cursor.execute("SELECT 1 FROM events WHERE id = %s FOR UPDATE NOWAIT", [str(event)])
                    time.sleep(0.001)
                except psycopg2.errors.LockNotAvailable:
                    time.sleep(0.001)
                    seconds[0] += time.perf_counter() - before

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seconds
    finally:
        done.set()
        watcher.join()


def _new_event(service: Service, name: str, *, capacity: int) -> UUID:
    """Delete the event of an earlier round, and insert it again with one ticket type."""
    event = _EVENTS[name]
    with service.cursor() as cursor:
        cursor.execute(_DELETE, {"event": str(event)})
        cursor.execute(_INSERT_EVENT, {"event": str(event), "capacity": capacity})
    return event


def _insert(service: Service, event: UUID, status: str, count: int) -> None:
    with service.cursor() as cursor:
        cursor.execute(_INSERT_BOOKINGS, {"event": str(event), "status": status, "count": count})
        cursor.execute(_COUNT, {"event": str(event)})
        cursor.execute("ANALYZE bookings, booking_items")


_REQUESTS: dict[str, Callable[[Service], tuple[float, float]]] = {
    "booking, for comparison": _book,
    f"booking with {HOLDS} expired holds in the way": _book_after_holds,
    f"refusal with {HOLDS} expired holds in the way": _refusal_after_holds,
    f"release that promotes {PARTIES:,} parties": _promote,
    f"cancelling an event with {BOOKINGS:,} bookings and {WAITING:,} waiting": _cancel,
}

# The first statement waits until the worker has written a batch of emails, and keeps it from writing the next.
_DELETE = """
UPDATE event_broadcasts SET finished_at = now() WHERE event_id = %(event)s::uuid;
DELETE FROM outbox_emails USING bookings WHERE booking_id = bookings.id AND bookings.event_id = %(event)s::uuid;
DELETE FROM event_broadcasts WHERE event_id = %(event)s::uuid;
DELETE FROM booking_items USING bookings WHERE booking_id = bookings.id AND event_id = %(event)s::uuid;
DELETE FROM bookings WHERE event_id = %(event)s::uuid;
DELETE FROM ticket_types WHERE event_id = %(event)s::uuid;
DELETE FROM events WHERE id = %(event)s::uuid
"""
_INSERT_EVENT = """
INSERT INTO events (id, organization_id, organizer_id, title, description, location, timezone, starts_at, ends_at,
                    capacity, status, waitlist, max_tickets_per_booking)
SELECT %(event)s::uuid, organization_id, user_id, 'An Evening of Chamber Music', '', 'Konzerthaus', 'Europe/Berlin',
       now() + interval '1 year', now() + interval '1 year 2 hours', %(capacity)s, 'published', 'on', 1000
FROM memberships WHERE role = 'organizer';
INSERT INTO ticket_types (id, event_id, name) VALUES (%(event)s::uuid, %(event)s::uuid, 'General admission')
"""
_FULL_BOOKING = """
WITH booking AS (
    INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, confirmed_at)
    SELECT uuidv7(), 'FULL', %(event)s::uuid, user_id, %(count)s, 'Olivia', 'olivia@example.com', now()
    FROM memberships WHERE role = 'organizer' RETURNING id
)
INSERT INTO booking_items (booking_id, ticket_type_id, count) SELECT id, %(event)s::uuid, %(count)s FROM booking
RETURNING booking_id
"""
_INSERT_BOOKINGS = """
WITH booked AS (
    INSERT INTO bookings (id, reference, event_id, user_id, ticket_count, guest_name, guest_email, status,
                          confirmed_at, hold_minutes, held_until, waitlisted_at)
    SELECT uuidv7(), left(md5(random()::text), 10), %(event)s::uuid, user_id, 1, 'Guest ' || n,
           'guest' || n || '@example.com', %(status)s, CASE %(status)s WHEN 'confirmed' THEN now() END,
           CASE %(status)s WHEN 'held' THEN 35 END,
           CASE %(status)s WHEN 'held' THEN now() - interval '1 minute' END,
           CASE %(status)s WHEN 'waitlisted' THEN now() + n * interval '1 microsecond' END
    FROM generate_series(1, %(count)s) AS n, (SELECT user_id FROM memberships WHERE role = 'organizer') AS organizers
    RETURNING id
)
INSERT INTO booking_items (booking_id, ticket_type_id, count) SELECT id, %(event)s::uuid, 1 FROM booked
"""
_COUNT = """
UPDATE events SET tickets_booked = booked, tickets_held = held
FROM (SELECT coalesce(sum(ticket_count) FILTER (WHERE status = 'confirmed'), 0) AS booked,
             coalesce(sum(ticket_count) FILTER (WHERE status = 'held'), 0) AS held
      FROM bookings WHERE event_id = %(event)s::uuid) AS sums
WHERE events.id = %(event)s::uuid;
UPDATE ticket_types SET tickets_booked = events.tickets_booked, tickets_held = events.tickets_held
FROM events WHERE events.id = event_id AND event_id = %(event)s::uuid
"""
