"""Turns, and refusals without a lock."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.bookings import turns as module
from bookings_api.bookings.turns import MAX_REFUSALS, RecentRefusals, Turns, TurnTimeout
from bookings_api.models import Event
from tests.factories import API, book, make_event, make_user
from tests.polling import wait_until

EVENT = uuid4()


def _wait_for_length(turns: Turns, length: int) -> None:
    wait_until(lambda: _length(turns) == length, seconds=10)


def _length(turns: Turns) -> int:
    return len(turns._lines.get(EVENT, ()))  # noqa: SLF001 - the line is not public


def test_turns_are_in_order_of_arrival_and_no_newcomer_overtakes() -> None:
    turns, order = Turns(), list[int]()

    def take_turn(number: int) -> None:
        with turns.turn(EVENT):
            order.append(number)

    with ThreadPoolExecutor(8) as pool:
        with turns.turn(EVENT):
            for number in range(7):
                pool.submit(take_turn, number)
                _wait_for_length(turns, number + 2)
        # arrives while the turn is being handed over
        take_turn(7)

    assert order == list(range(8))
    assert _length(turns) == 0


def test_one_turn_per_event_runs_at_a_time() -> None:
    turns, inside, most = Turns(), list[int](), list[int]()

    def take_turn(number: int) -> None:
        with turns.turn(EVENT):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.001)
            inside.remove(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(take_turn, range(200)))

    assert max(most) == 1


def test_other_events_do_not_wait() -> None:
    turns = Turns()

    with turns.turn(EVENT), turns.turn(uuid4(), seconds=0.1):
        pass


def test_waiting_for_a_turn_is_bounded_and_giving_up_delays_no_other_waiter() -> None:
    turns, served = Turns(), threading.Event()

    def give_up() -> None:
        with pytest.raises(TurnTimeout), turns.turn(EVENT, seconds=0.2):
            pass

    def wait() -> None:
        with turns.turn(EVENT, seconds=10):
            served.set()

    with ThreadPoolExecutor(2) as pool:
        with turns.turn(EVENT):
            impatient = pool.submit(give_up)
            _wait_for_length(turns, 2)
            pool.submit(wait)
            _wait_for_length(turns, 3)
            impatient.result()
            assert not served.is_set()
        assert served.wait(10)


def test_a_turn_that_fails_is_handed_over() -> None:
    turns = Turns()
    with pytest.raises(LookupError), turns.turn(EVENT):
        raise LookupError

    with turns.turn(EVENT, seconds=0.1):
        pass


def test_a_client_that_gets_no_turn_in_time_gets_503_with_retry_after(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, event = make_user(client), make_event(client)
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.1)
    with module.turns.turn(UUID(event["id"])):
        response = book(client, user, event)

    assert (response.status_code, response.json["code"]) == (503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert book(client, user, event).status_code == 201


def test_recent_refusals_are_bounded() -> None:
    refusals = RecentRefusals()
    for _ in range(3 * MAX_REFUSALS):
        refusals.note(uuid4())
    refusals.note(EVENT)

    assert EVENT in refusals
    assert len(refusals._until) <= MAX_REFUSALS  # noqa: SLF001 - the bound exists to limit memory


def _lock(stack: ExitStack, database: sa.Engine, event: dict[str, str]) -> None:
    connection = stack.enter_context(database.connect())
    connection.execute(sa.select(Event.id).where(Event.id == UUID(event["id"])).with_for_update())


def test_an_event_that_just_refused_an_order_refuses_the_next_one_without_its_lock(
    client: FlaskClient, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client, capacity=1)
    assert book(client, user, event).status_code == 201
    assert book(client, user, event).json["code"] == "sold-out"

    with ExitStack() as stack:
        _lock(stack, database, event)
        refused = book(client, user, event)

    assert (refused.status_code, refused.json["code"]) == (409, "sold-out")


def test_a_repeated_request_gets_its_stored_response_even_if_the_event_is_sold_out(
    client: FlaskClient, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client, capacity=1)
    headers, order = {**user.headers, "Idempotency-Key": "a-key"}, {"event_id": event["id"]}
    first = client.post(f"{API}/bookings/", headers=headers, json=order)
    assert book(client, user, event).json["code"] == "sold-out"

    with ExitStack() as stack:
        _lock(stack, database, event)
        again = client.post(f"{API}/bookings/", headers=headers, json=order)
        reused = client.post(f"{API}/bookings/", headers=headers, json={**order, "ticket_count": 2})

    assert (again.status_code, again.data, again.headers["Idempotency-Replayed"]) == (201, first.data, "true")
    assert reused.json["code"] == "idempotency-key-reused"


def test_released_tickets_can_be_booked_immediately_after_a_refusal(client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client, capacity=1)
    booked = book(client, user, event)
    assert book(client, user, event).json["code"] == "sold-out"

    client.delete(booked.headers["Location"], headers=user.headers)

    assert book(client, user, event).status_code == 201


def test_an_ended_login_is_refused_first_whether_or_not_the_event_is_locked(client: FlaskClient, app: Flask) -> None:
    user, other, event = make_user(client), make_user(client), make_event(client, capacity=1)
    assert book(client, other, event).status_code == 201
    assert client.post(f"{API}/auth/logout", headers=user.headers).status_code == 204

    locked = book(client, user, event)
    assert book(client, other, event).json["code"] == "sold-out"
    peeked = book(app.test_client(), user, event)

    assert [(response.status_code, response.json["code"]) for response in (locked, peeked)] == [
        (401, "unauthenticated")
    ] * 2
