"""Two of everything but PostgreSQL and Redis, as on two machines: gunicorn, a Celery worker, beat."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import UNSENT, Booking, OutboxEmail
from tests.concurrency.harness import count_of, counter_of, outcome_of, oversold_tickets, race
from tests.factories import make_event, make_user
from tests.mailbox import Mailbox
from tests.polling import wait_until
from tests.service import Service, running_service

pytestmark = pytest.mark.long

SEATS = 40


@pytest.fixture
def another_service(service: Service, settings: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    with running_service(settings, tmp_path) as another:
        yield another


def test_a_race_over_two_machines_oversells_nothing_and_each_booking_has_one_mail(
    client: FlaskClient, database: sa.Engine, service: Service, another_service: Service, mailbox: Mailbox
) -> None:
    event = make_event(client, capacity=SEATS)
    users = [make_user(client) for _ in range(20)]
    machines = [service, another_service]

    with httpx.Client(timeout=60, limits=httpx.Limits(max_connections=None)) as http:

        def attempt(number: int) -> str:
            headers = dict(users[number // 2 % len(users)].headers)
            url = f"{machines[number % 2].api}/bookings/"
            return outcome_of(http.post(url, headers=headers, json={"event_id": event["id"]}))

        outcomes = race(attempt, clients=3 * SEATS)

    assert outcomes == {"201": SEATS, "409 sold-out": 2 * SEATS}
    assert oversold_tickets(database, event) == 0
    assert (counter_of(database, event), count_of(database, Booking)) == (SEATS, SEATS)
    wait_until(lambda: _unsent(database) == 0, seconds=60)
    subjects = Counter(str(mail["Subject"]) for user in users for mail in mailbox.to(user.email))
    assert len(subjects) == SEATS
    assert set(subjects.values()) == {1}


def _unsent(database: sa.Engine) -> int:
    with database.connect() as connection:
        return connection.scalars(
            sa.select(sa.func.count()).select_from(OutboxEmail).where(OutboxEmail.status.in_(UNSENT))
        ).one()
