"""Sending one mail, with servers that take it, refuse it, or are not there; the task runs in this process."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.local_stack.processes import free_port
from bookings_api.mail import outbox, tasks
from bookings_api.models import MailKind, MailStatus, OutboxMail
from bookings_api.transactions import transaction
from tests.factories import new_email
from tests.mail.smtp_server import Answering, smtp_server
from tests.mail.test_messages import FACTS
from tests.mailbox import Mailbox, part

pytestmark = pytest.mark.usefixtures("context")


def _put(**facts: Any) -> OutboxMail:
    with transaction():
        return outbox.put(kind=MailKind.BOOKING_CONFIRMED, recipient=new_email(), facts={**FACTS, **facts})


def _row(database: sa.Engine, mail: OutboxMail) -> Any:
    with database.connect() as connection:
        return connection.execute(sa.select(OutboxMail).where(OutboxMail.id == mail.id)).one()


def _deliver_to(port: int, mail: OutboxMail, application: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application.extensions["mail"], "port", port)
    tasks.deliver(str(mail.id))


def test_a_mail_has_text_and_html_parts_and_says_who_it_is_from_and_to(database: sa.Engine, mailbox: Mailbox) -> None:
    mail = _put()

    tasks.deliver(str(mail.id))

    (received,) = mailbox.wait_for(mail.recipient)
    assert received["From"] == "Event Booking <tickets@example.com>"
    assert received["To"] == mail.recipient
    assert received["Subject"] == "Your booking K7M3PTW9XA: An Evening of Chamber Music"
    assert received["Message-ID"] == mail.message_id
    assert received["Auto-Submitted"] == "auto-generated"
    assert "Grace Hopper" in part(received, "plain")
    assert "Grace Hopper" in part(received, "html")
    assert _row(database, mail).status is MailStatus.SENT


def test_names_and_titles_in_any_script_arrive_as_they_are(mailbox: Mailbox) -> None:
    mail = _put(guest_name="李小龍", event_title="Füße & Ŵords — نص عربي")

    tasks.deliver(str(mail.id))

    (received,) = mailbox.wait_for(mail.recipient)
    assert received["Subject"] == "Your booking K7M3PTW9XA: Füße & Ŵords — نص عربي"
    assert "李小龍" in part(received, "plain")


def test_a_mail_is_sent_once_however_often_its_task_runs(mailbox: Mailbox) -> None:
    mail = _put()

    for _ in range(3):
        tasks.deliver(str(mail.id))

    assert len(mailbox.wait_for(mail.recipient)) == 1


@pytest.mark.parametrize("answers", [{"rcpt": "550 no such user"}, {"data": "554 spam"}], ids=["recipient", "message"])
def test_a_mail_that_is_refused_for_good_fails_and_is_logged_as_an_error(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    mail = _put()
    with smtp_server(Answering(**answers)) as port:
        _deliver_to(port, mail, application, monkeypatch)

    row = _row(database, mail)
    assert (row.status, row.last_error) == (MailStatus.FAILED, next(iter(answers.values())))
    assert [record.levelname for record in caplog.records if "failed" in record.message] == ["ERROR"]


@pytest.mark.parametrize("answers", [{"rcpt": "450 busy"}, {"data": "451 try later"}], ids=["recipient", "message"])
def test_a_mail_that_is_refused_for_now_waits_and_is_then_sent(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = _put()
    with smtp_server(Answering(**answers)) as port:
        _deliver_to(port, mail, application, monkeypatch)
    assert _row(database, mail).status is MailStatus.PENDING

    with database.begin() as connection:
        connection.execute(sa.update(OutboxMail).values(next_attempt_at=sa.func.now()))
    willing = Answering()
    with smtp_server(willing) as port:
        _deliver_to(port, mail, application, monkeypatch)

    assert len(willing.accepted) == 1
    assert _row(database, mail).status is MailStatus.SENT


@pytest.mark.parametrize(
    "answers", [{"ehlo": "554 not for you"}, {"mail": "530 log in first"}], ids=["greeting", "sender"]
)
def test_a_server_that_refuses_us_and_not_the_mail_loses_nothing(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = _put()
    with smtp_server(Answering(**answers)) as port:
        _deliver_to(port, mail, application, monkeypatch)

    row = _row(database, mail)
    assert row.status is MailStatus.PENDING
    assert next(iter(answers.values())).split()[0] in row.last_error


def test_a_server_that_hangs_up_once_it_has_the_mail_gets_it_once(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = _put()
    server = Answering(hangs_up=True)
    with smtp_server(server) as port:
        _deliver_to(port, mail, application, monkeypatch)

    assert len(server.accepted) == 1
    assert _row(database, mail).status is MailStatus.SENT


def test_a_server_that_hangs_up_with_its_refusal_is_not_asked_again(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = _put()
    with smtp_server(Answering(data="550 spam", hangs_up=True)) as port:
        _deliver_to(port, mail, application, monkeypatch)

    assert _row(database, mail).status is MailStatus.FAILED


def test_a_mail_that_cannot_be_made_waits_and_says_why(database: sa.Engine, caplog: pytest.LogCaptureFixture) -> None:
    mail = _put(timezone="Nowhere/At_All")

    tasks.deliver(str(mail.id))

    row = _row(database, mail)
    assert row.status is MailStatus.PENDING
    assert row.last_error.startswith("ZoneInfoNotFoundError")
    assert "could not be made" in caplog.text


def test_a_server_that_is_not_there_defers_the_mail(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = _put()

    _deliver_to(free_port(), mail, application, monkeypatch)

    row = _row(database, mail)
    assert (row.status, row.attempts) == (MailStatus.PENDING, 1)
    assert row.last_error.startswith("ConnectionRefusedError")
