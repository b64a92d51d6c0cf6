"""Transactions that PostgreSQL undid because of others, and servers that cannot work just now."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.http.retrying import ATTEMPTS
from bookings_api.models import Booking
from tests.concurrency.harness import count_of, counter_of
from tests.factories import book, make_event, make_user, new_email
from tests.polling import wait_until

Fail = Callable[..., None]

WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def fail_with(database: sa.Engine) -> Iterator[Fail]:
    """Have PostgreSQL refuse bookings with an SQLSTATE, and count how often it was asked to write one."""

    def fail(code: str, times: int = 1_000_000) -> None:
        execute(
            database,
            "CREATE SEQUENCE attempts",
            f"""CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN
                    IF nextval('attempts') <= {times} THEN RAISE EXCEPTION 'provoked' USING ERRCODE = '{code}'; END IF;
                    RETURN NEW;
                END $$""",
            "CREATE TRIGGER fail BEFORE INSERT ON bookings FOR EACH ROW EXECUTE FUNCTION fail()",
        )

    yield fail
    execute(database, "DROP FUNCTION fail() CASCADE", "DROP SEQUENCE attempts")


def execute(database: sa.Engine, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_a_booking_that_loses_a_deadlock_is_made_at_the_next_attempt(
    app: Flask, client: FlaskClient, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    user, event = make_user(client), make_event(client)
    caplog.set_level("INFO")
    with database.connect() as observer, database.connect() as stranger, ThreadPoolExecutor(1) as pool:
        # whoever looks first is the one that PostgreSQL ends
        stranger.execute(sa.text("SET deadlock_timeout = '60s'"))
        stranger.execute(sa.text(f"SELECT FROM users WHERE id = '{user.id}' FOR UPDATE"))
        order = pool.submit(book, app.test_client(), user, event)  # has the event, waits for the account
        wait_until(lambda: observer.scalar(WAITING) == 1, seconds=10)
        stranger.execute(sa.text(f"SELECT FROM events WHERE id = '{event['id']}' FOR UPDATE"))
        stranger.rollback()
        answer = order.result()

    assert answer.status_code == 201, answer.text
    assert "attempt 1 lost a collision: 40P01" in caplog.text
    assert (count_of(database, Booking), counter_of(database, event)) == (1, 1)


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_after_a_few_lost_collisions_the_client_is_asked_to_come_again(
    code: str, client: FlaskClient, database: sa.Engine, fail_with: Fail
) -> None:
    user, event = make_user(client), make_event(client)
    fail_with(code)

    answer = book(client, user, event)

    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT last_value FROM attempts")) == ATTEMPTS


@pytest.mark.parametrize("lost", [ATTEMPTS - 1, ATTEMPTS], ids=["made in the end", "given up"])
def test_a_request_counts_once_however_many_collisions_it_lost(
    client: FlaskClient, app: Flask, fail_with: Fail, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    monkeypatch.setitem(app.config, "BOOKING_LIMIT", "9 per minute")
    monkeypatch.setitem(app.config, "GUEST_MAIL_LIMIT", "5 per hour")
    user, event = make_user(client), make_event(client)
    fail_with("40P01", times=lost)

    first = book(client, user, event)
    another = book(client, user, event, guest_email=new_email())

    assert first.status_code == (201 if lost < ATTEMPTS else 503)
    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("9", "8")
    assert another.status_code == 201
    assert (another.headers["RateLimit-Limit"], another.headers["RateLimit-Remaining"]) == ("5", "4")


# admin_shutdown, cannot_connect_now, too_many_connections, disk_full, io_error, lock_not_available, query_canceled,
# read_only_sql_transaction, idle_in_transaction_session_timeout
@pytest.mark.parametrize("code", ["57P01", "57P03", "53300", "53100", "58030", "55P03", "57014", "25006", "25P03"])
def test_what_a_server_cannot_do_just_now_is_a_503_that_says_when_to_come_again(
    code: str, client: FlaskClient, database: sa.Engine, fail_with: Fail
) -> None:
    user, event = make_user(client), make_event(client)
    fail_with(code)

    answer = book(client, user, event)

    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    assert "provoked" not in answer.text
    execute(database, "DROP TRIGGER fail ON bookings")
    assert book(client, user, event).status_code == 201


def test_what_is_a_defect_is_not_called_passing(client: FlaskClient, fail_with: Fail) -> None:
    user, event = make_user(client), make_event(client)
    fail_with("XX000")

    answer = book(client, user, event)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (500, None)
    assert "provoked" not in answer.text
