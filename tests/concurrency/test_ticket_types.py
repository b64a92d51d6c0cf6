"""Many simultaneous buyers of several ticket types."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.concurrency.harness import counter_of, outcome_of, oversold_tickets, race
from tests.factories import items, make_event, make_organizer, make_ticket_type, make_user, ticket_types_of
from tests.http_client import http_client
from tests.service import Service


@pytest.mark.usefixtures("audited")
def test_neither_the_event_nor_a_type_is_oversold(client: FlaskClient, database: sa.Engine, service: Service) -> None:
    organizer, users = make_organizer(client), [make_user(client) for _ in range(10)]
    event = make_event(client, organizer, capacity=10)
    front = make_ticket_type(client, organizer, event, capacity=4)
    [general, _] = ticket_types_of(client, event)

    with http_client() as http:

        def attempt(number: int) -> str:
            chosen = items((front, 1), (general, 1)) if number % 3 == 0 else items(((general, front)[number % 2], 1))
            order = {"event_id": event["id"], "items": chosen}
            headers = dict(users[number % len(users)].headers)
            return outcome_of(http.post(f"{service.api}/bookings/", headers=headers, json=order))

        outcomes = race(attempt, clients=100)

    assert outcomes.keys() == {"201", "409 sold-out"}
    assert oversold_tickets(database, event) == 0
    [general, front] = ticket_types_of(client, event)
    assert front["tickets_available"] == 0
    assert counter_of(database, event) in {9, 10}  # an order for both types needs two tickets


@pytest.mark.usefixtures("audited")
def test_exchanges_and_new_bookings_compete_for_the_same_type(
    client: FlaskClient, database: sa.Engine, service: Service
) -> None:
    organizer, users = make_organizer(client), [make_user(client) for _ in range(10)]
    event = make_event(client, organizer, capacity=100)
    front = make_ticket_type(client, organizer, event, capacity=5)
    [general, _] = ticket_types_of(client, event)

    with http_client() as http:
        path = f"{service.api}/bookings/"

        def attempt(number: int) -> str:
            headers = dict(users[number % len(users)].headers)
            if number % 2:
                order = {"event_id": event["id"], "items": items((front, 1))}
                return outcome_of(http.post(path, headers=headers, json=order))
            order = {"event_id": event["id"], "items": items((general, 1))}
            booking = http.post(path, headers=headers, json=order).json()
            return outcome_of(http.patch(f"{path}{booking['id']}", headers=headers, json={"items": items((front, 1))}))

        outcomes = race(attempt, clients=40)

    assert outcomes["200"] + outcomes["201"] == 5
    assert outcomes["409 sold-out"] == 35
    [_, front] = ticket_types_of(client, event)
    assert front["tickets_available"] == 0
    assert oversold_tickets(database, event) == 0


@pytest.mark.usefixtures("audited")
def test_a_type_is_deleted_or_booked_but_never_both(client: FlaskClient, service: Service) -> None:
    organizer, user = make_organizer(client), make_user(client)
    event = make_event(client, organizer, capacity=20)
    types = [make_ticket_type(client, organizer, event) for _ in range(20)]

    with http_client() as http:

        def attempt(number: int) -> str:
            one = types[number // 2]
            if number % 2:
                path = f"{service.api}/events/{event['id']}/ticket-types/{one['id']}"
                return outcome_of(http.delete(path, headers=dict(organizer.headers)))
            order = {"event_id": event["id"], "items": items((one, 1))}
            return outcome_of(http.post(f"{service.api}/bookings/", headers=dict(user.headers), json=order))

        outcomes = race(attempt, clients=40)

    assert outcomes.keys() <= {"201", "204", "409 ticket-type-in-use", "409 sold-out", "422 invalid-input"}
    assert outcomes["204"] + outcomes["409 ticket-type-in-use"] == 20
    assert outcomes["409 ticket-type-in-use"] == outcomes["201"]


@pytest.mark.usefixtures("audited")
def test_the_numbers_agree_while_tickets_are_booked(client: FlaskClient, service: Service) -> None:
    organizer = make_organizer(client)
    event = make_event(client, organizer)
    types = [ticket_types_of(client, event)[0], make_ticket_type(client, organizer, event)]
    users = [make_user(client) for _ in range(5)]

    with http_client() as http:

        def attempt(number: int) -> str:
            if number % 2:
                user, order = users[number % 5], {"event_id": event["id"], "items": items((types[number % 3 % 2], 1))}
                return str(http.post(f"{service.api}/bookings/", headers=dict(user.headers), json=order).status_code)
            path = f"{service.api}/events/{event['id']}/capacity"
            seen = http.get(path, headers=dict(organizer.headers)).json()
            booked = sum(one["tickets_booked"] for one in seen["ticket_types"])
            assert seen["tickets_available"] == seen["capacity"] - seen["tickets_booked"]
            return "agree" if booked == seen["tickets_booked"] else "differ"

        outcomes = race(attempt, clients=60)

    assert outcomes == {"201": 10, "409": 20, "agree": 30}
