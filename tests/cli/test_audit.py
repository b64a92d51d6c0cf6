"""The `flask audit` command."""

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
    """A booking of two out of ten tickets."""
    return book(client, make_user(client), make_event(client), ticket_count=2).json


def _execute(database: sa.Engine, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(sa.text(statement))


def _emails(database: sa.Engine, booking: Any) -> list[str]:
    query = sa.text("SELECT kind FROM outbox_emails WHERE booking_id = :id ORDER BY id")
    with database.connect() as connection:
        return list(connection.scalars(query, {"id": booking["id"]}))


@pytest.mark.usefixtures("booking")
def test_consistent_data_exits_with_status_0(app: Flask) -> None:
    done = _audit(app)

    assert (done.exit_code, done.output) == (0, "No violations.\n")


def test_violations_are_listed_and_summarized_with_status_1(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE events SET tickets_booked = 5")
    _execute(database, "UPDATE bookings SET version = 0")

    done = _audit(app)

    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"tickets_booked: event {booking['event_id']}: tickets_booked is 5, but its confirmed bookings have 2 tickets",
        f"version: booking {booking['id']} has the invalid version 0",
        "Violations: 2 (tickets_booked 1, version 1)",
    ]


@pytest.mark.usefixtures("booking")
def test_quoted_data_cannot_break_lines_or_control_the_terminal(app: Flask, database: sa.Engine) -> None:
    _execute(database, r"UPDATE events SET timezone = E'\x1b[2J\nNo violations.'")

    done = app.test_cli_runner().invoke(args=["audit"], color=True)  # as in a terminal

    assert done.output.replace("\n", "").isprintable()
    assert [line.split(" ")[0] for line in done.output.splitlines()] == ["time_zone:", "Violations:"]


@pytest.mark.usefixtures("booking")
def test_failed_email_is_a_note_rather_than_a_violation(app: Flask, database: sa.Engine) -> None:
    _execute(database, "UPDATE outbox_emails SET status = 'failed', attempts = 1")

    done = _audit(app)

    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "No violations.")
    assert done.output.startswith("note: failed emails: 1; run `flask mail retry` to send them again\n")


def test_repair_corrects_counters(app: Flask, client: FlaskClient, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE events SET tickets_booked = 10")

    done = _audit(app, "--repair")

    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"repair: event {booking['event_id']}: corrected tickets_booked from 10 to 2",
        "No violations.",
    ]
    # cached responses are refreshed
    assert client.get(f"{API}/events/{booking['event_id']}").json["tickets_available"] == EVENT["capacity"] - 2


def test_repair_corrects_counters_of_ticket_types(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE ticket_types SET tickets_booked = 10")

    done = _audit(app, "--repair")

    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"repair: event {booking['event_id']}: corrected the counters of its ticket types",
        "No violations.",
    ]


def test_repair_does_not_change_an_oversold_ticket_type(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE ticket_types SET capacity = 1, tickets_booked = 0")

    done = _audit(app, "--repair")

    ticket_type = booking["items"][0]["ticket_type_id"]
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"repair: event {booking['event_id']}: not repaired, because tickets of type {ticket_type} are oversold",
        f"tickets_booked: ticket type {ticket_type}: tickets_booked is 0, but 2 of its tickets are booked",
        f"oversold: ticket type {ticket_type}: capacity is 1, but its bookings have 2 tickets",
        "Violations: 2 (tickets_booked 1, oversold 1)",
    ]


def test_repair_skips_a_locked_event_and_continues(
    app: Flask, client: FlaskClient, database: sa.Engine, booking: Any
) -> None:
    other = book(client, make_user(client), make_event(client, title="Another evening"), ticket_count=3).json
    _execute(database, "UPDATE events SET tickets_booked = 10")
    with database.begin() as other_session:
        other_session.execute(sa.text("SELECT 1 FROM events WHERE id = :id FOR UPDATE"), {"id": booking["event_id"]})

        done = _audit(app, "--repair")

    assert done.exit_code == 1
    assert sorted(done.output.splitlines()[:2]) == sorted([
        f"repair: {booking['event_id']} was skipped because it is locked",
        f"repair: event {other['event_id']}: corrected tickets_booked from 10 to 3",
    ])  # fmt: skip


def test_repair_does_not_change_an_oversold_event(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "UPDATE bookings SET ticket_count = 12; UPDATE booking_items SET count = 12")

    done = _audit(app, "--repair")

    ticket_type = booking["items"][0]["ticket_type_id"]
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"repair: event {booking['event_id']}: not repaired, because 12 of 10 tickets are booked",
        f"tickets_booked: event {booking['event_id']}: tickets_booked is 2, but its confirmed bookings have 12 tickets",
        f"tickets_booked: ticket type {ticket_type}: tickets_booked is 2, but 12 of its tickets are booked",
        f"oversold: event {booking['event_id']}: capacity is 10, but its bookings have 12 tickets",
        "Violations: 3 (tickets_booked 2, oversold 1)",
    ]


def test_missing_email_is_written_once_and_only_with_repair_emails(
    app: Flask, client: FlaskClient, database: sa.Engine, booking: Any
) -> None:
    user = make_user(client)
    cancelled = book(client, user, {"id": booking["event_id"]}).json
    client.delete(f"{API}/bookings/{cancelled['id']}", headers=user.headers)
    _execute(database, "DELETE FROM outbox_emails")

    assert _audit(app, "--repair").exit_code == 1
    assert _emails(database, booking) == []
    done = _audit(app, "--repair-emails")

    assert done.exit_code == 0
    assert done.output.splitlines() == [
        f"repair: booking {booking['id']}: booking_confirmed email written",
        f"repair: booking {cancelled['id']}: booking_cancelled email written",
        "No violations.",
    ]
    assert _audit(app, "--repair-emails").output == "No violations.\n"
    assert (_emails(database, booking), _emails(database, cancelled)) == (["booking_confirmed"], ["booking_cancelled"])


def test_repair_emails_skips_past_events(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "DELETE FROM outbox_emails")
    _execute(database, "UPDATE events SET starts_at = now() - interval '2 hours', ends_at = now()")

    done = _audit(app, "--repair-emails")

    assert done.exit_code == 1
    assert done.output.startswith(f"repair: booking {booking['id']}: no email written, because its event has ended\n")


def test_repair_emails_skips_deleted_events(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "DELETE FROM outbox_emails")
    _execute(database, "ALTER TABLE events DISABLE TRIGGER ALL; DELETE FROM events")
    try:
        done = _audit(app, "--repair-emails")
    finally:
        _execute(database, "ALTER TABLE events ENABLE TRIGGER ALL")

    assert done.exit_code == 1
    assert done.output.startswith(
        f"repair: booking {booking['id']}: no email written, because its event does not exist\n"
    )


def test_email_days_limits_the_age_of_expected_emails(app: Flask, database: sa.Engine, booking: Any) -> None:
    _execute(database, "DELETE FROM outbox_emails")
    _execute(database, "UPDATE bookings SET confirmed_at = now() - interval '20 days', created_at = confirmed_at")

    assert _audit(app).exit_code == 1
    assert _audit(app, "--email-days", "10").exit_code == 0


def test_unreadable_database_exits_with_status_2(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "DATABASE_URL", f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/nothing")

    done = _audit(app)

    assert done.exit_code == 2
    assert done.output.startswith("Error: the database could not be read completely: ")
    assert done.output.count("\n") == 1
