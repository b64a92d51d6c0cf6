"""The task that sends due emails, run in this process."""

from threading import Timer
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.mail import claims, delivery, smtp, tasks
from bookings_api.models import EmailKind, EmailStatus, OutboxEmail
from tests.mail.draining import add_due_email, drain_to, let_time_pass, row_of
from tests.mail.smtp_server import ScriptedServer, smtp_server
from tests.mailbox import Mailbox, part

pytestmark = pytest.mark.usefixtures("context")


class OutageBeforeReply(ScriptedServer):
    """Accepts an email, but lets PostgreSQL reject all connections for over a second before it replies."""

    def __init__(self, database: sa.Engine) -> None:
        super().__init__()
        self._name = database.url.database
        self._admin = sa.create_engine(
            database.url.set(database="postgres"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        reply = await super().handle_DATA(server, session, envelope)
        self._allow_connections("false")
        terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        with self._admin.connect() as connection:
            connection.execute(sa.text(terminate), {"name": self._name})
        Timer(delivery.DATABASE_RETRY_SECONDS * 1.5, self._allow_connections, ["true"]).start()
        return reply

    def _allow_connections(self, is_allowed: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS {is_allowed}"))


def test_an_email_has_headers_and_text_and_html_parts(database: sa.Engine, mailbox: Mailbox) -> None:
    email = add_due_email()

    tasks.drain()

    (message,) = mailbox.wait_for(email.recipient)
    assert message["From"] == "Event Booking <tickets@example.com>"
    assert message["To"] == email.recipient
    assert message["Subject"] == "Your booking K7M3PTW9XA is confirmed: An Evening of Chamber Music"
    assert message["Message-ID"] == email.message_id
    assert message["Auto-Submitted"] == "auto-generated"
    assert "Grace Hopper" in part(message, "plain")
    assert "Grace Hopper" in part(message, "html")
    assert row_of(database, email).status is EmailStatus.SENT


def test_names_and_titles_in_any_script_arrive_unchanged(mailbox: Mailbox) -> None:
    email = add_due_email(guest_name="李小龍", event_title="Füße & Ŵords — نص عربي")

    tasks.drain()

    (message,) = mailbox.wait_for(email.recipient)
    assert message["Subject"] == "Your booking K7M3PTW9XA is confirmed: Füße & Ŵords — نص عربي"
    assert "李小龍" in part(message, "plain")


def test_an_email_is_sent_once_however_often_the_task_runs(mailbox: Mailbox) -> None:
    email = add_due_email()

    for _ in range(3):
        tasks.drain()

    assert len(mailbox.wait_for(email.recipient)) == 1


@pytest.mark.parametrize("replies", [{"rcpt": "550 no such user"}, {"data": "554 spam"}], ids=["recipient", "message"])
def test_a_permanent_refusal_fails_the_email_and_logs_an_error(
    replies: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    email = add_due_email()
    with smtp_server(ScriptedServer(**replies)) as port:
        drain_to(port, application, monkeypatch)

    row = row_of(database, email)
    assert row.status is EmailStatus.FAILED
    assert row.last_error == f"The mail server refused the email permanently: {next(iter(replies.values()))}"
    assert [record.levelname for record in caplog.records if "failed" in record.message] == ["ERROR"]


@pytest.mark.parametrize("replies", [{"rcpt": "450 busy"}, {"data": "451 try later"}], ids=["recipient", "message"])
def test_a_temporary_refusal_defers_the_email(
    replies: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    with smtp_server(ScriptedServer(**replies)) as port:
        drain_to(port, application, monkeypatch)
    assert row_of(database, email).status is EmailStatus.PENDING

    let_time_pass(database)
    willing = ScriptedServer()
    with smtp_server(willing) as port:
        drain_to(port, application, monkeypatch)

    assert len(willing.accepted) == 1
    assert row_of(database, email).status is EmailStatus.SENT


def test_an_email_that_cannot_be_composed_stays_pending_with_the_reason(
    database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    email = add_due_email(timezone="Nowhere/At_All")

    tasks.drain()

    row = row_of(database, email)
    assert row.status is EmailStatus.PENDING
    assert row.last_error == "The email could not be composed. See the log for the error."
    assert "could not be composed" in caplog.text


def test_an_email_that_cannot_be_checked_waits_and_holds_back_no_others(
    database: sa.Engine, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = add_due_email(EmailKind.INVITATION, token_id="not a UUID"), add_due_email()

    tasks.drain()

    mailbox.wait_for(other.recipient)
    row = row_of(database, broken)
    assert (row.status, row.attempts) == (EmailStatus.PENDING, 1)
    assert row.last_error == "The email could not be composed. See the log for the error."
    assert "could not be checked" in caplog.text


def test_an_email_fails_after_the_last_attempt(
    application: Flask, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    email = add_due_email()
    with database.begin() as connection:
        last = {"attempts": application.config["MAIL_MAX_ATTEMPTS"], "last_error": "The mail server was unreachable."}
        connection.execute(sa.update(OutboxEmail).values(**last))

    tasks.drain()

    row = row_of(database, email)
    assert (row.status, row.last_error) == (
        EmailStatus.FAILED,
        "Gave up after 60 attempts. The mail server was unreachable.",
    )
    assert [record.levelname for record in caplog.records if "Gave up" in record.message] == ["ERROR"]


def test_a_sent_email_is_recorded_after_a_postgresql_outage(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    # leases end immediately
    monkeypatch.setattr(claims, "RECORDING_TIME", -smtp.time_limit())
    server = OutageBeforeReply(database)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert len(server.accepted) == 1
    assert row_of(database, email).status is EmailStatus.SENT


def test_several_tasks_in_turn_send_a_long_queue(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    emails = [add_due_email() for _ in range(2)]
    monkeypatch.setattr(tasks, "DRAIN_SECONDS", 0)

    tasks.drain()
    assert [row_of(database, email).status for email in emails] == [EmailStatus.SENT, EmailStatus.PENDING]

    tasks.drain()
    assert row_of(database, emails[1]).status is EmailStatus.SENT


def test_a_reminder_is_not_sent_after_the_event_has_started(database: sa.Engine, mailbox: Mailbox) -> None:
    late = add_due_email(EmailKind.EVENT_REMINDER, starts_at="2026-01-01T12:00:00+00:00")
    in_time = add_due_email(EmailKind.EVENT_REMINDER)

    tasks.drain()

    mailbox.wait_for(in_time.recipient)
    row = row_of(database, late)
    assert (row.status, row.last_error) == (
        EmailStatus.FAILED,
        "The event started before the reminder could be sent.",
    )


def test_a_suppressed_email_counts_as_sent_but_reaches_no_server(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails = [add_due_email() for _ in range(2)]
    monkeypatch.setattr(application.extensions["mail"], "suppress", True)
    server = ScriptedServer()
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert {row_of(database, email).status for email in emails} == {EmailStatus.SENT}
    assert server.accepted == []
