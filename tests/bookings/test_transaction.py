"""The booking transaction: what it locks, and that it always ends."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import gevent
import psycopg2
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from bookings_api.bookings.locking import Inquiry, lock_and_read_facts
from bookings_api.database.timeouts import IDLE_IN_TRANSACTION_SECONDS
from bookings_api.database.transactions import row_locked, transaction
from bookings_api.extensions import db
from bookings_api.inventory.locking import lock_event
from bookings_api.models import Booking, Event
from tests.concurrency.harness import count_of, counter_of
from tests.factories import API, Account, book, make_event, make_organizer, make_user
from tests.polling import wait_until
from tests.sql import waiting_sessions

_TERMINATE = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND state = 'idle in transaction'"
)


@pytest.fixture(autouse=True)
def no_open_transactions(app: Flask) -> Iterator[None]:
    """After each test, no pooled connection is inside a transaction."""
    yield
    with app.app_context(), ExitStack() as stack:
        db.session.remove()
        pool: Any = db.engine.pool
        pooled = [stack.enter_context(db.engine.connect()) for _ in range(pool.checkedin())]
        drivers: list[Any] = [connection.connection.dbapi_connection for connection in pooled]
        assert {driver.get_transaction_status() for driver in drivers} <= {TRANSACTION_STATUS_IDLE}


def _is_free(database: sa.Engine, event: dict[str, Any]) -> bool:
    """Return whether the event is unlocked."""
    with database.connect() as connection:
        lock = sa.select(Event.id).where(Event.id == UUID(event["id"])).with_for_update(skip_locked=True)
        return connection.scalar(lock) is not None


def _order(client: FlaskClient, user: Account, event: dict[str, Any], key: str, count: int = 1) -> Any:
    headers = {**user.headers, "Idempotency-Key": key}
    return client.post(f"{API}/bookings/", headers=headers, json={"event_id": event["id"], "ticket_count": count})


def _facts(database: sa.Engine, event: dict[str, Any]) -> Callable[[Any], Any]:
    with database.connect() as connection:
        login_id = connection.scalar(sa.text("SELECT id FROM logins LIMIT 1"))
    return lambda tx: lock_and_read_facts(tx, Inquiry(UUID(event["id"]), login_id))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "unauthenticated"),
        (404, "event-not-found"),
        (409, "event-not-open"),
        (409, "sold-out"),
        (422, "too-many-tickets"),
        (422, "idempotency-key-reused"),
    ],
)
def test_no_refusal_leaves_a_transaction_open_or_the_event_locked(
    client: FlaskClient, database: sa.Engine, status: int, code: str
) -> None:
    user, organizer = make_user(client), make_organizer(client)
    event = make_event(client, organizer, capacity=2, max_tickets_per_booking=2)
    assert _order(client, user, event, "a-key").status_code == 201
    asked, key, count = event, "another-key", 1
    if code == "unauthenticated":
        client.post(f"{API}/auth/logout", headers=user.headers)
    elif code == "event-not-found":
        asked = {"id": str(uuid4())}
    elif code == "event-not-open":
        client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers)
    elif code == "idempotency-key-reused":
        key, count = "a-key", 2
    else:
        count = {"sold-out": 2, "too-many-tickets": 3}[code]

    response = _order(client, user, asked, key, count)

    assert (response.status_code, response.json["code"]) == (status, code)
    assert _is_free(database, event)


def test_a_replayed_response_leaves_no_transaction_open(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)

    assert [_order(client, user, event, "a-key").status_code for _ in range(2)] == [201, 201]

    assert _is_free(database, event)


@pytest.mark.parametrize("error", [LookupError, gevent.GreenletExit, KeyboardInterrupt])
@pytest.mark.usefixtures("context")
def test_an_interrupted_transaction_releases_the_event(
    client: FlaskClient, database: sa.Engine, error: type[BaseException]
) -> None:
    make_user(client)
    event = make_event(client)
    read = _facts(database, event)

    with pytest.raises(error), row_locked() as tx:
        assert read(tx).event.id == UUID(event["id"])
        assert not _is_free(database, event)
        raise error

    assert _is_free(database, event)


@pytest.mark.usefixtures("context")
def test_a_lost_connection_frees_the_event_and_the_pool_opens_another(client: FlaskClient, database: sa.Engine) -> None:
    user, event = make_user(client), make_event(client)
    read = _facts(database, event)

    with pytest.raises(LookupError), row_locked() as tx:
        read(tx)
        with database.begin() as connection:
            connection.execute(_TERMINATE)
        raise LookupError

    wait_until(lambda: _is_free(database, event), seconds=5)
    assert book(client, user, event).status_code == 201


@pytest.mark.usefixtures("context")
def test_a_stalled_process_does_not_keep_the_event_locked(client: FlaskClient, database: sa.Engine) -> None:
    make_user(client)
    event = make_event(client)
    read = _facts(database, event)

    with pytest.raises(sa.exc.DBAPIError) as raised, row_locked() as tx:
        read(tx)
        began = time.monotonic()
        wait_until(lambda: _is_free(database, event), seconds=IDLE_IN_TRANSACTION_SECONDS + 5)
        seconds = time.monotonic() - began
        tx.write_and_commit()

    assert seconds > IDLE_IN_TRANSACTION_SECONDS - 1
    assert raised.value.connection_invalidated
    assert isinstance(raised.value.orig, psycopg2.Error)
    assert counter_of(database, event) == 0


@pytest.mark.usefixtures("context")
def test_a_process_stalled_while_it_changes_a_booking_does_not_keep_the_event_locked(
    client: FlaskClient, database: sa.Engine
) -> None:
    event = make_event(client)

    with pytest.raises(sa.exc.DBAPIError), transaction():
        lock_event(UUID(event["id"]))
        wait_until(lambda: _is_free(database, event), seconds=IDLE_IN_TRANSACTION_SECONDS + 5)
        db.session.scalar(sa.select(sa.func.now()))


@pytest.mark.usefixtures("context")
def test_a_use_case_cannot_have_two_transactions(client: FlaskClient) -> None:
    make_user(client)

    with pytest.raises(RuntimeError, match="one use case, one commit"), transaction(), row_locked():
        pass


def test_two_simultaneous_requests_with_the_same_key_book_once_and_get_equal_responses(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client)

    with ThreadPoolExecutor(2) as pool:
        with database.connect() as stranger:
            stranger.execute(sa.select(Event.id).where(Event.id == UUID(event["id"])).with_for_update())
            orders = [pool.submit(_order, app.test_client(), user, event, "a-key") for _ in range(2)]
            wait_until(lambda: waiting_sessions(database) == 1, seconds=4)
        first, second = (order.result() for order in orders)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert {"Idempotency-Replayed" in response.headers for response in (first, second)} == {True, False}
    assert (count_of(database, Booking), counter_of(database, event)) == (1, 1)


def test_simultaneous_requests_with_the_same_key_for_two_events_book_one_of_them(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    user, events = make_user(client), [make_event(client) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        with database.connect() as stranger:
            # both orders have seen that the key is unused and now wait to write their bookings
            stranger.execute(sa.text(f"SELECT FROM users WHERE id = '{user.id}' FOR UPDATE"))
            orders = [pool.submit(_order, app.test_client(), user, event, "a-key") for event in events]
            wait_until(lambda: waiting_sessions(database) == 2, seconds=4)
        responses = [order.result() for order in orders]

    assert sorted(response.status_code for response in responses) == [201, 422]
    assert [response.json["code"] for response in responses if response.status_code == 422] == [
        "idempotency-key-reused"
    ]
    assert count_of(database, Booking) == 1
    assert sorted(counter_of(database, event) for event in events) == [0, 1]


def test_a_login_that_ends_while_the_order_waits_for_the_lock_books_nothing(
    app: Flask, client: FlaskClient, database: sa.Engine
) -> None:
    user, event = make_user(client), make_event(client)

    with ThreadPoolExecutor(1) as pool:
        with database.connect() as stranger:
            stranger.execute(sa.select(Event.id).where(Event.id == UUID(event["id"])).with_for_update())
            order = pool.submit(book, app.test_client(), user, event)
            wait_until(lambda: waiting_sessions(database) == 1, seconds=4)
            assert client.post(f"{API}/auth/logout", headers=user.headers).status_code == 204
        response = order.result()

    assert (response.status_code, response.json["code"]) == (401, "unauthenticated")
    assert count_of(database, Booking) == 0
