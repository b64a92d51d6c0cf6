"""Database errors: conflicts are retried, temporary failures become 503, defects 500."""

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
from tests.sql import execute, waiting_sessions

Fail = Callable[..., None]


@pytest.fixture
def fail_with(database: sa.Engine) -> Iterator[Fail]:
    """Make PostgreSQL refuse bookings with an SQLSTATE and count the attempts."""

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


def test_a_booking_that_loses_a_deadlock_is_retried(
    app: Flask, client: FlaskClient, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    user, event = make_user(client), make_event(client)
    caplog.set_level("INFO")
    with database.connect() as other, ThreadPoolExecutor(1) as pool:
        # PostgreSQL aborts the session whose deadlock_timeout ends first
        other.execute(sa.text("SET deadlock_timeout = '60s'"))
        other.execute(sa.text(f"SELECT FROM users WHERE id = '{user.id}' FOR UPDATE"))
        booking = pool.submit(book, app.test_client(), user, event)  # locks the event, waits for the account
        wait_until(lambda: waiting_sessions(database) == 1, seconds=10)
        other.execute(sa.text(f"SELECT FROM events WHERE id = '{event['id']}' FOR UPDATE"))
        other.rollback()
        response = booking.result()

    assert response.status_code == 201, response.text
    assert "attempt 1 was aborted by a conflict: 40P01" in caplog.text
    assert (count_of(database, Booking), counter_of(database, event)) == (1, 1)


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_too_many_conflicts_return_503(code: str, client: FlaskClient, database: sa.Engine, fail_with: Fail) -> None:
    user, event = make_user(client), make_event(client)
    fail_with(code)

    response = book(client, user, event)

    assert (response.status_code, response.json["code"]) == (503, "unavailable")
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT last_value FROM attempts")) == ATTEMPTS


@pytest.mark.parametrize("lost", [ATTEMPTS - 1, ATTEMPTS], ids=["succeeds at last", "gives up"])
def test_a_retried_request_counts_once_toward_rate_limits(
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
def test_a_temporary_database_failure_returns_503_with_retry_after(
    code: str, client: FlaskClient, database: sa.Engine, fail_with: Fail
) -> None:
    user, event = make_user(client), make_event(client)
    fail_with(code)

    response = book(client, user, event)

    assert (response.status_code, response.content_type) == (503, "application/problem+json")
    assert int(response.headers["Retry-After"]) > 0
    assert "provoked" not in response.text
    execute(database, "DROP TRIGGER fail ON bookings")
    assert book(client, user, event).status_code == 201


def test_a_permanent_database_failure_returns_500_without_retry_after(client: FlaskClient, fail_with: Fail) -> None:
    user, event = make_user(client), make_event(client)
    fail_with("XX000")

    response = book(client, user, event)

    assert (response.status_code, response.headers.get("Retry-After")) == (500, None)
    assert "provoked" not in response.text
