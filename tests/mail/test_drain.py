"""Emptying the outbox; the task runs in this process."""

import email
from threading import Timer
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.mail import delivery, outbox, smtp, tasks
from bookings_api.models import EmailKind, EmailStatus, OutboxEmail
from tests.factories import API, book, make_event, make_user
from tests.mail.draining import drain_to, let_time_pass, put, row_of
from tests.mail.smtp_server import Answering, smtp_server
from tests.mailbox import Mailbox, part

pytestmark = pytest.mark.usefixtures("context")


class LastSeenBeforeAnOutage(Answering):
    """Takes a mail, and before it says so PostgreSQL cuts everybody off for more than a second."""

    def __init__(self, database: sa.Engine) -> None:
        super().__init__()
        self._name = database.url.database
        self._admin = sa.create_engine(
            database.url.set(database="postgres"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        answer = await super().handle_DATA(server, session, envelope)
        self._let_in("false")
        cut_off = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        with self._admin.connect() as connection:
            connection.execute(sa.text(cut_off), {"name": self._name})
        Timer(delivery.DATABASE_RETRY_SECONDS * 1.5, self._let_in, ["true"]).start()
        return answer

    def _let_in(self, everybody: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(sa.text(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS {everybody}"))


def test_a_mail_has_text_and_html_parts_and_says_who_it_is_from_and_to(database: sa.Engine, mailbox: Mailbox) -> None:
    mail = put()

    tasks.drain()

    (received,) = mailbox.wait_for(mail.recipient)
    assert received["From"] == "Event Booking <tickets@example.com>"
    assert received["To"] == mail.recipient
    assert received["Subject"] == "Your booking K7M3PTW9XA is confirmed: An Evening of Chamber Music"
    assert received["Message-ID"] == mail.message_id
    assert received["Auto-Submitted"] == "auto-generated"
    assert "Grace Hopper" in part(received, "plain")
    assert "Grace Hopper" in part(received, "html")
    assert row_of(database, mail).status is EmailStatus.SENT


def test_names_and_titles_in_any_script_arrive_as_they_are(mailbox: Mailbox) -> None:
    mail = put(guest_name="李小龍", event_title="Füße & Ŵords — نص عربي")

    tasks.drain()

    (received,) = mailbox.wait_for(mail.recipient)
    assert received["Subject"] == "Your booking K7M3PTW9XA is confirmed: Füße & Ŵords — نص عربي"
    assert "李小龍" in part(received, "plain")


def test_a_mail_is_sent_once_however_often_its_task_runs(mailbox: Mailbox) -> None:
    mail = put()

    for _ in range(3):
        tasks.drain()

    assert len(mailbox.wait_for(mail.recipient)) == 1


@pytest.mark.parametrize("answers", [{"rcpt": "550 no such user"}, {"data": "554 spam"}], ids=["recipient", "message"])
def test_a_mail_that_is_refused_for_good_fails_and_is_logged_as_an_error(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    mail = put()
    with smtp_server(Answering(**answers)) as port:
        drain_to(port, application, monkeypatch)

    row = row_of(database, mail)
    assert row.status is EmailStatus.FAILED
    assert row.last_error == f"The mail server refused the email permanently: {next(iter(answers.values()))}"
    assert [record.levelname for record in caplog.records if "failed" in record.message] == ["ERROR"]


@pytest.mark.parametrize("answers", [{"rcpt": "450 busy"}, {"data": "451 try later"}], ids=["recipient", "message"])
def test_a_mail_that_is_refused_for_now_waits_and_is_then_sent(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    with smtp_server(Answering(**answers)) as port:
        drain_to(port, application, monkeypatch)
    assert row_of(database, mail).status is EmailStatus.PENDING

    let_time_pass(database)
    willing = Answering()
    with smtp_server(willing) as port:
        drain_to(port, application, monkeypatch)

    assert len(willing.accepted) == 1
    assert row_of(database, mail).status is EmailStatus.SENT


def test_a_mail_that_cannot_be_made_waits_and_says_why(database: sa.Engine, caplog: pytest.LogCaptureFixture) -> None:
    mail = put(timezone="Nowhere/At_All")

    tasks.drain()

    row = row_of(database, mail)
    assert row.status is EmailStatus.PENDING
    assert row.last_error == "The email could not be composed. See the log for the error."
    assert "could not be composed" in caplog.text


def test_a_mail_is_given_up_after_the_last_attempt(
    application: Flask, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    mail = put()
    with database.begin() as connection:
        last = {"attempts": application.config["MAIL_MAX_ATTEMPTS"], "last_error": "The mail server was away."}
        connection.execute(sa.update(OutboxEmail).values(**last))

    tasks.drain()

    row = row_of(database, mail)
    assert (row.status, row.last_error) == (
        EmailStatus.FAILED,
        "Gave up after 60 attempts. The mail server was away.",
    )
    assert [record.levelname for record in caplog.records if "Gave up" in record.message] == ["ERROR"]


def test_a_mail_that_was_sent_is_recorded_however_long_postgresql_was_away(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    # every lease is over at once
    monkeypatch.setattr(outbox, "RECORDING", -smtp.time_limit())
    server = LastSeenBeforeAnOutage(database)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert len(server.accepted) == 1
    assert row_of(database, mail).status is EmailStatus.SENT


def test_a_long_queue_is_worked_off_in_turns(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    mails = [put() for _ in range(2)]
    monkeypatch.setattr(tasks, "TURN_SECONDS", 0)

    tasks.drain()
    assert [row_of(database, mail).status for mail in mails] == [EmailStatus.SENT, EmailStatus.PENDING]

    tasks.drain()
    assert row_of(database, mails[1]).status is EmailStatus.SENT


def test_later_mail_of_a_booking_waits_for_the_earlier_one(
    app: Flask, client: FlaskClient, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, user = Answering(data="451 come back later"), make_user(client)
    with smtp_server(server) as port:
        booking = book(client, user, make_event(client)).json
        drain_to(port, app, monkeypatch)
        client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers)
        server.behave()
        drain_to(port, app, monkeypatch)
        assert server.accepted == []

        let_time_pass(database)
        drain_to(port, app, monkeypatch)

    subjects = [str(email.message_from_bytes(content)["Subject"]) for content in server.accepted]
    assert "is confirmed" in subjects[0]
    assert "is cancelled" in subjects[1]


def test_a_reminder_of_an_event_that_has_begun_is_not_sent(database: sa.Engine, mailbox: Mailbox) -> None:
    late = put(EmailKind.EVENT_REMINDER, starts_at="2026-01-01T12:00:00+00:00")
    in_time = put(EmailKind.EVENT_REMINDER)

    tasks.drain()

    mailbox.wait_for(in_time.recipient)
    row = row_of(database, late)
    assert (row.status, row.last_error) == (
        EmailStatus.FAILED,
        "The event started before the reminder could be sent.",
    )


def test_where_mail_is_suppressed_it_counts_as_sent_and_nobody_gets_it(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = [put() for _ in range(2)]
    monkeypatch.setattr(application.extensions["mail"], "suppress", True)
    server = Answering()
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert {row_of(database, mail).status for mail in mails} == {EmailStatus.SENT}
    assert server.accepted == []
