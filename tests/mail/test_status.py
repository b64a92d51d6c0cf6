"""The state of the outbox on the command line, in metrics and in the log."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from bookings_api.database.transactions import transaction
from bookings_api.mail import notifier, outbox, tasks
from bookings_api.mail.notifier import WorkerNotifier
from bookings_api.mail.status import outbox_state
from bookings_api.models import EmailKind, EmailStatus, EventBroadcast, OutboxEmail
from tests.factories import API, book, make_event, make_organizer, make_user, new_email
from tests.mail.composing import PAYLOAD
from tests.polling import wait_until
from tests.times import utcnow

METRICS = {"Authorization": "Bearer a-token-for-metrics"}


def _put(app: Flask, database: sa.Engine, **values: Any) -> Any:
    with app.app_context(), transaction():
        email_id = outbox.add_email(kind=EmailKind.BOOKING_CONFIRMED, recipient=new_email(), payload=PAYLOAD).id
    with database.begin() as connection:
        connection.execute(sa.update(OutboxEmail).where(OutboxEmail.id == email_id).values(**values))
    return email_id


def _ago(**duration: int) -> Any:
    return utcnow() - timedelta(**duration)


def _fill(app: Flask, database: sa.Engine) -> None:
    """Two pending (one of them deferred), one sent, one failed. The oldest is two hours old and ten minutes overdue."""
    _put(app, database, created_at=_ago(hours=2), next_attempt_at=_ago(minutes=10))
    _put(app, database, created_at=_ago(hours=1), next_attempt_at=utcnow() + timedelta(hours=1), attempts=1)
    _put(app, database, created_at=_ago(hours=3), status="sent", sent_at=utcnow())
    _put(app, database, created_at=_ago(hours=3), next_attempt_at=_ago(hours=3), status="failed")


def test_the_state_has_counts_by_status_and_waiting_times(app: Flask, database: sa.Engine) -> None:
    _fill(app, database)

    with app.app_context():
        state = outbox_state()

    assert state.emails == {
        EmailStatus.PENDING: 2,
        EmailStatus.SENDING: 0,
        EmailStatus.SENT: 1,
        EmailStatus.FAILED: 1,
        EmailStatus.DROPPED: 0,
    }
    assert timedelta(hours=2) <= state.oldest_unsent < timedelta(hours=2, minutes=1)
    assert timedelta(minutes=10) <= state.oldest_due < timedelta(minutes=11)


def test_an_empty_outbox_has_no_waiting_times(app: Flask) -> None:
    with app.app_context():
        state = outbox_state()

    assert (state.oldest_unsent, state.oldest_due, state.unfinished_broadcasts) == (timedelta(0), timedelta(0), 0)


def test_an_unfinished_broadcast_counts_as_waiting(app: Flask, client: FlaskClient, database: sa.Engine) -> None:
    organizer = make_organizer(client)
    event = make_event(client, organizer)
    book(client, make_user(client), event)
    with app.app_context():
        tasks.drain()
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"location": "Philharmonie"})
    with database.begin() as connection:
        connection.execute(sa.update(EventBroadcast).values(due_at=_ago(minutes=7)))

    with app.app_context():
        state = outbox_state()

    assert state.unfinished_broadcasts == 1
    assert timedelta(minutes=7) <= state.oldest_due < timedelta(minutes=8)


def test_metrics_show_the_state_with_the_token(app: Flask, client: FlaskClient, database: sa.Engine) -> None:
    _fill(app, database)

    response = client.get("/metrics", headers=METRICS)

    assert response.content_type.startswith("text/plain")
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert values["outbox_emails", "pending"] == 2
    assert values["outbox_emails", "failed"] == 1
    assert 7200 <= values["outbox_oldest_unsent_seconds",] < 7260
    assert 600 <= values["outbox_oldest_due_seconds",] < 660


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer é"}])
def test_metrics_require_the_token(client: FlaskClient, headers: dict[str, str]) -> None:
    response = client.get("/metrics", headers=headers)

    assert response.status_code == 401
    assert response.json["code"] == "unauthenticated"


def test_the_command_line_shows_the_state(app: Flask, database: sa.Engine) -> None:
    _fill(app, database)

    shown = app.test_cli_runner().invoke(args=["mail", "status"])

    assert shown.exit_code == 0
    words = [line.split() for line in shown.output.splitlines()]
    assert words[:5] == [["pending", "2"], ["sending", "0"], ["sent", "1"], ["failed", "1"], ["dropped", "0"]]
    assert words[5] == ["broadcasts", "in", "progress", "0"]
    assert 7200 <= int(words[6][2]) < 7260
    assert 600 <= int(words[7][2]) < 660


@pytest.mark.parametrize(("options", "due"), [([], 2), (["--deferred"], 3)])
def test_the_command_line_retries_failed_emails(app: Flask, database: sa.Engine, options: list[str], due: int) -> None:
    _fill(app, database)

    done = app.test_cli_runner().invoke(args=["mail", "retry", *options])

    assert done.output.startswith(f"Emails due now: {due - 1}.")
    with app.app_context():
        tasks.drain()
        assert outbox_state().emails[EmailStatus.SENT] == 1 + due
        assert outbox_state().emails[EmailStatus.FAILED] == 0


@pytest.mark.parametrize(("minutes", "errors"), [(4, 0), (6, 1)])
def test_an_email_overdue_by_more_than_five_minutes_logs_an_error(
    app: Flask, database: sa.Engine, caplog: pytest.LogCaptureFixture, minutes: int, errors: int
) -> None:
    _put(app, database, next_attempt_at=_ago(minutes=minutes))

    with app.app_context():
        tasks.watch()

    late = [record for record in caplog.records if "emails are overdue" in record.message]
    assert [record.levelname for record in late] == ["ERROR"] * errors


def test_a_process_that_writes_emails_logs_an_error_when_no_worker_runs(
    app: Flask, database: sa.Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "WATCH_SECONDS", 0.1)
    _put(app, database, next_attempt_at=_ago(minutes=6))

    WorkerNotifier(app).wake()

    wait_until(lambda: "emails are overdue" in caplog.text, seconds=5)
