"""Two complete services on one PostgreSQL and Redis, as on two machines."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import UNSENT, Booking, OutboxEmail
from tests.concurrency.harness import count_of, counter_of, outcome_of, oversold_tickets, race
from tests.factories import make_event, make_user
from tests.http_client import http_client
from tests.mailbox import Mailbox
from tests.polling import wait_until
from tests.service import Service, running_service

pytestmark = pytest.mark.long

TICKETS = 40


@pytest.fixture
def second_service(service: Service, settings: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    with running_service(settings, tmp_path) as second:
        yield second


def test_concurrent_bookings_on_two_machines_oversell_nothing_and_send_one_email_each(
    client: FlaskClient, database: sa.Engine, service: Service, second_service: Service, mailbox: Mailbox
) -> None:
    event = make_event(client, capacity=TICKETS)
    users = [make_user(client) for _ in range(20)]
    machines = [service, second_service]

    with http_client() as http:

        def attempt(number: int) -> str:
            headers = dict(users[number // 2 % len(users)].headers)
            url = f"{machines[number % 2].api}/bookings/"
            return outcome_of(http.post(url, headers=headers, json={"event_id": event["id"]}))

        outcomes = race(attempt, clients=3 * TICKETS)

    assert outcomes == {"201": TICKETS, "409 sold-out": 2 * TICKETS}
    assert oversold_tickets(database, event) == 0
    assert (counter_of(database, event), count_of(database, Booking)) == (TICKETS, TICKETS)
    wait_until(lambda: _unsent(database) == 0)
    subjects = Counter(str(email["Subject"]) for user in users for email in mailbox.to(user.email))
    assert len(subjects) == TICKETS
    assert set(subjects.values()) == {1}


def _unsent(database: sa.Engine) -> int:
    with database.connect() as connection:
        return connection.scalars(
            sa.select(sa.func.count()).select_from(OutboxEmail).where(OutboxEmail.status.in_(UNSENT))
        ).one()
