"""`flask audit`, as an operator types it."""

from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.local_stack.processes import free_port
from tests.factories import API, EVENT, book, make_event, make_user


def _audit(app: Flask, *options: str) -> Result:
    return app.test_cli_runner().invoke(args=["audit", *options])


@pytest.fixture
def booking(client: FlaskClient) -> Any:
    """Two tickets of ten."""
    return book(client, make_user(client), make_event(client), ticket_count=2).json


def _execute(database: sa.Engine, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(sa.text(statement))


def _mails(database: sa.Engine, booking: Any) -> list[str]:
    query = sa.text("SELECT kind FROM outbox_emails WHERE booking_id = :id ORDER BY id")
    with database.connect() as connection:
        return list(connection.scalars(query, {"id": booking["id"]}))


@pytest.mark.usefixtures("booking")
def test_sound_data_is_status_0(app: Flask) -> None:
    done = _audit(app)

    assert (done.exit_code, done.output) == (0, "No violation.\n")


def test_violations_are_lines_a_summary_and_status_1(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE events SET tickets_booked = 5")
    _execute(database, "UPDATE bookings SET version = 0")

    done = _audit(app)

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"tickets_booked: event {booking['event_id']} counts 5 tickets as booked, its confirmed bookings hold 2",
        f"version: booking {booking['id']} has the version 0",
        "2 violations: tickets_booked 1, version 1",
    ]


@pytest.mark.usefixtures("booking")
def test_what_a_violation_quotes_is_part_of_its_line_and_does_nothing_to_the_terminal(
    app: Flask, database: sa.Engine
) -> None:
    _execute(database, r"UPDATE events SET timezone = E'\x1b[2J\nNo violation.'")

    done = app.test_cli_runner().invoke(args=["audit"], color=True)  # as a terminal gets it

    assert done.output.replace("\n", "").isprintable()
    assert [line.split(" ")[0] for line in done.output.splitlines()] == ["time_zone:", "1"]


@pytest.mark.usefixtures("booking")
def test_mail_that_failed_or_was_left_by_a_worker_is_a_note_and_no_violation(app: Flask, database: sa.Engine) -> None:
    _execute(database, "UPDATE outbox_emails SET status = 'failed', attempts = 1")

    done = _audit(app)

    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "No violation.")
    assert done.output.startswith("note: 1 mails have failed; flask mail retry tries them again\n")


def test_a_repair_counts_anew_and_says_so(app: Flask, client: FlaskClient, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE events SET tickets_booked = 10")

    done = _audit(app, "--repair")

    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"repair: event {booking['event_id']} counts 2 tickets as booked now, not 10",
        "No violation.",
    ]
    # what is kept of answers is made anew, too
    assert client.get(f"{API}/events/{booking['event_id']}").json["tickets_available"] == EVENT["capacity"] - 2


def test_an_event_that_somebody_has_locked_keeps_no_other_from_being_mended(
    app: Flask, client: FlaskClient, database: sa.Engine, booking: Any
) -> None:
    other = book(client, make_user(client), make_event(client, title="Another evening"), ticket_count=3).json
    _execute(database, "UPDATE events SET tickets_booked = 10")
    with database.begin() as stranger:
        stranger.execute(sa.text("SELECT 1 FROM events WHERE id = :id FOR UPDATE"), {"id": booking["event_id"]})

        done = _audit(app, "--repair")

    assert done.exit_code == 1
    assert sorted(done.output.splitlines()[:2]) == sorted([
        f"repair: {booking['event_id']} is left as it is: somebody has it locked",
        f"repair: event {other['event_id']} counts 3 tickets as booked now, not 10",
    ])  # fmt: skip


def test_more_sold_than_there_is_stays_as_it_is_and_status_1(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE bookings SET ticket_count = 12")

    done = _audit(app, "--repair")

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"repair: event {booking['event_id']} is left as it is: its bookings hold 12 of 10 seats",
        f"tickets_booked: event {booking['event_id']} counts 2 tickets as booked, its confirmed bookings hold 12",
        f"oversold: event {booking['event_id']} has 10 seats, its confirmed bookings hold 12",
        "2 violations: tickets_booked 1, oversold 1",
    ]


def test_missing_mail_is_written_again_only_when_asked_for_and_once(
    app: Flask, client: FlaskClient, database: sa.Engine, booking: Any
) -> None:
    user = make_user(client)
    cancelled = book(client, user, {"id": booking["event_id"]}).json
    client.delete(f"{API}/bookings/{cancelled['id']}", headers=user.headers)
    _execute(database, "DELETE FROM outbox_emails")

    assert _audit(app, "--repair").exit_code == 1
    assert _mails(database, booking) == []
    done = _audit(app, "--remail")

    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"repair: booking {booking['id']} gets its mail: booking_confirmed",
        f"repair: booking {cancelled['id']} gets its mail: booking_cancelled",
        "No violation.",
    ]
    assert _audit(app, "--remail").output == "No violation.\n"
    assert (_mails(database, booking), _mails(database, cancelled)) == (["booking_confirmed"], ["booking_cancelled"])


def test_no_guest_is_told_of_an_event_that_is_over(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "DELETE FROM outbox_emails")
    _execute(database, "UPDATE events SET starts_at = now() - interval '2 hours', ends_at = now()")

    done = _audit(app, "--remail")

    assert done.exit_code == 1
    assert done.output.startswith(f"repair: booking {booking['id']} gets no mail: its event is over\n")


def test_no_guest_is_told_of_an_event_that_is_gone(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "DELETE FROM outbox_emails")
    _execute(database, "ALTER TABLE events DISABLE TRIGGER ALL; DELETE FROM events")
    try:
        done = _audit(app, "--remail")
    finally:
        _execute(database, "ALTER TABLE events ENABLE TRIGGER ALL")

    assert done.exit_code == 1
    assert done.output.startswith(f"repair: booking {booking['id']} gets no mail: its event is gone\n")


def test_of_how_many_days_mails_are_expected_can_be_said(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "DELETE FROM outbox_emails")
    _execute(database, "UPDATE bookings SET created_at = now() - interval '20 days'")

    assert _audit(app).exit_code == 1
    assert _audit(app, "--mail-days", "10").exit_code == 0


def test_a_database_that_cannot_be_read_is_status_2(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "DATABASE_URL", f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/nothing")

    done = _audit(app)

    assert done.exit_code == 2
    assert done.output.startswith("Error: the database could not be read to the end: ")
    assert done.output.count("\n") == 1
