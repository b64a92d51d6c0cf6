"""Many simultaneous buyers, on a real PostgreSQL."""

from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking, Event, OutboxEmail
from tests.concurrency.harness import count_of, counter_of, oversold_tickets, race
from tests.factories import make_event, make_user
from tests.http_client import http_client
from tests.service import Service


@pytest.mark.usefixtures("audited")
def test_200_clients_for_10_tickets_make_10_bookings_and_get_190_refusals(
    client: FlaskClient, database: sa.Engine, service: Service
) -> None:
    event = make_event(client, capacity=10)
    users = [make_user(client) for _ in range(20)]

    with http_client() as http:

        def attempt(number: int) -> str:
            headers = dict(users[number % len(users)].headers)
            response = http.post(f"{service.api}/bookings/", headers=headers, json={"event_id": event["id"]})
            return f"{response.status_code} {response.json().get('code', 'confirmed')}"

        outcomes = race(attempt, clients=200)

    assert outcomes == {"201 confirmed": 10, "409 sold-out": 190}
    assert oversold_tickets(database, event) == 0
    assert counter_of(database, event) == 10
    assert (count_of(database, Booking), count_of(database, OutboxEmail)) == (10, 10)


def test_the_harness_detects_overselling_without_the_lock(client: FlaskClient, database: sa.Engine) -> None:
    event, user = make_event(client, capacity=10), make_user(client)

    def book_without_lock(number: int) -> str:
        with database.begin() as connection:
            booked = connection.execute(
                sa.select(Event.tickets_booked).where(Event.id == UUID(event["id"]))
            ).scalar_one()
            if booked + 1 > event["capacity"]:
                return "sold out"
            connection.execute(sa.select(sa.func.pg_sleep(0.02)))
            connection.execute(sa.update(Event).where(Event.id == UUID(event["id"])).values(tickets_booked=booked + 1))
            connection.execute(
                sa.insert(Booking).values(
                    id=uuid4(),
                    event_id=UUID(event["id"]),
                    user_id=UUID(user.id),
                    ticket_count=1,
                    guest_name="Ada",
                    guest_email=user.email,
                    confirmed_at=sa.func.now(),
                )
            )
            return "confirmed"

    outcomes = race(book_without_lock, clients=40)

    assert outcomes["confirmed"] > event["capacity"]
    assert oversold_tickets(database, event) > 0
