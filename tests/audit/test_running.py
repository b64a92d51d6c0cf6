"""Audits and repairs work while the service is busy."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.audit import violations
from bookings_api.audit.repair import recount_tickets
from bookings_api.database.engine import snapshot
from tests.concurrency.harness import tickets_of
from tests.factories import EVENT, Account, make_event, make_organizer, make_user
from tests.http_client import http_client
from tests.polling import repeated_in_background
from tests.service import Service

DAYS = timedelta(days=90)
AUDITS = 6


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with http_client(service.api) as client:
        yield client


@contextmanager
def _busy(clients: int, step: Callable[[random.Random], None]) -> Iterator[None]:
    """Let several clients repeat a step in the background."""
    rngs = [random.Random(number) for number in range(clients)]  # noqa: S311 - not for security
    with repeated_in_background(*(partial(step, rng) for rng in rngs)):
        yield


def _book_and_cancel(http: httpx.Client, user: Account, event: dict[str, Any], rng: random.Random) -> None:
    headers = dict(user.headers)
    order = {"event_id": event["id"], "ticket_count": rng.randint(1, 3)}
    booking = http.post("/bookings/", headers=headers, json=order).json()
    if "id" in booking and rng.random() < 0.5:
        http.delete(f"/bookings/{booking['id']}", headers=headers)


def test_auditing_a_busy_service_finds_no_violation(app: Flask, client: FlaskClient, http: httpx.Client) -> None:
    organizer, users = make_organizer(client), [make_user(client) for _ in range(3)]
    headers = dict(organizer.headers)

    def step(rng: random.Random) -> None:
        event = http.post("/events/", json={**EVENT, "capacity": 20}, headers=headers).json()
        for _ in range(5):
            _book_and_cancel(http, rng.choice(users), event, rng)
        http.patch(f"/events/{event['id']}", json={"location": "Philharmonie", "capacity": 30}, headers=headers)
        if rng.random() < 0.5:
            http.post(f"/events/{event['id']}/cancel", headers=headers)
        else:
            http.delete(f"/events/{event['id']}", headers=headers)

    with _busy(4, step):
        found = []
        for _ in range(AUDITS):
            with snapshot(app) as connection:
                found += [str(violation) for violation in violations(connection, emails_since=DAYS)]

    assert found == []


@pytest.mark.usefixtures("context")
def test_repairing_during_bookings_keeps_the_ticket_count_exact(
    app: Flask, client: FlaskClient, database: sa.Engine, http: httpx.Client
) -> None:
    event = make_event(client, capacity=100_000)
    users = [make_user(client) for _ in range(4)]
    repairs = []

    with _busy(4, lambda rng: _book_and_cancel(http, rng.choice(users), event, rng)):
        for number in range(60):
            if number % 10 == 0:
                with database.begin() as connection:
                    connection.execute(sa.text("UPDATE events SET tickets_booked = tickets_booked + 1000"))
            repairs += [recount_tickets(UUID(event["id"]))]

    assert len([repair for repair in repairs if repair]) == 6
    tickets = tickets_of(database, event)
    assert tickets.counted == tickets.held > 0


def test_a_snapshot_has_no_time_limit_and_is_read_only(app: Flask) -> None:
    with snapshot(app) as connection:
        limits = [connection.scalar(sa.text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout")]
        assert limits == ["0", "0"]
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "repeatable read"
        with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
            connection.execute(sa.text("DELETE FROM bookings"))
