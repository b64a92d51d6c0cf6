"""SMTP servers that are not there, or take mail in ways of their own."""

import socket
import time
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.local_stack.processes import free_port
from bookings_api.mail import smtp
from bookings_api.models import EmailStatus
from tests.mail.draining import drain_to, put, row_of
from tests.mail.smtp_server import Answering, smtp_server

pytestmark = pytest.mark.usefixtures("context")


@pytest.mark.parametrize(
    "answers", [{"ehlo": "554 not for you"}, {"mail": "530 log in first"}], ids=["greeting", "sender"]
)
def test_a_server_that_refuses_us_and_not_the_mail_loses_nothing(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    with smtp_server(Answering(**answers)) as port:
        drain_to(port, application, monkeypatch)

    row = row_of(database, mail)
    assert row.status is EmailStatus.PENDING
    assert row.last_error == "The mail server refused the connection."


def test_a_server_that_hangs_up_once_it_has_the_mail_gets_it_once(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    server = Answering(hangs_up=True)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert len(server.accepted) == 1
    assert row_of(database, mail).status is EmailStatus.SENT


def test_a_server_that_hangs_up_with_its_refusal_is_not_asked_again(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    with smtp_server(Answering(data="550 spam", hangs_up=True)) as port:
        drain_to(port, application, monkeypatch)

    assert row_of(database, mail).status is EmailStatus.FAILED


def test_a_server_that_is_not_there_defers_the_mail(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()

    drain_to(free_port(), application, monkeypatch)

    row = row_of(database, mail)
    assert (row.status, row.attempts) == (EmailStatus.PENDING, 1)
    assert row.last_error == "The mail server could not be reached."


def test_all_that_is_due_goes_over_one_connection(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = [put() for _ in range(5)]
    server = Answering()
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (5, 1)
    assert {row_of(database, mail).status for mail in mails} == {EmailStatus.SENT}


@pytest.mark.parametrize("answers", [{"rcpt": "550 no such user"}, {"rcpt": "450 busy"}, {"data": "451 try later"}])
def test_a_mail_that_is_refused_does_not_hold_up_the_others(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = [put() for _ in range(3)]
    server = Answering(**answers, only_for=mails[0].recipient)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (2, 1)
    assert [row_of(database, mail).attempts for mail in mails] == [1, 1, 1]


@pytest.mark.parametrize("farewell", [{"hangs_up": True}, {"mails_per_connection": 1}], ids=["hangs up", "says 421"])
def test_a_server_that_takes_one_mail_for_each_connection_gets_them_all(
    farewell: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = [put() for _ in range(3)]
    server = Answering(**farewell)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (3, 3)
    assert [row_of(database, mail).attempts for mail in mails] == [1, 1, 1]


def test_a_server_that_breaks_off_in_the_middle_of_a_mail_gets_the_others(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = [put() for _ in range(3)]
    server = Answering(drops_after_data=True)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (3, 3)
    rows = [row_of(database, mail) for mail in mails]
    assert [row.attempts for row in rows] == [1, 1, 1]
    assert {row.last_error for row in rows} == {"The mail server closed the connection."}


@pytest.mark.parametrize("answers", [{"mail": "421 shutting down"}, {"rcpt": "421 shutting down"}])
def test_a_server_that_takes_no_mail_now_is_left_alone_until_the_next_sweep(
    answers: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = [put() for _ in range(3)]
    server = Answering(**answers)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert server.connections == 1
    assert [row_of(database, mail).attempts for mail in mails] == [1, 0, 0]


def test_a_server_that_falls_silent_is_given_up_after_the_timeout(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    monkeypatch.setitem(application.config, "MAIL_TIMEOUT", 1)
    with smtp_server(Answering(silent_for=10)) as port:
        drain_to(port, application, monkeypatch)

    row = row_of(database, mail)
    assert row.status is EmailStatus.PENDING
    assert row.last_error == "The mail server did not respond in time."


def test_a_server_that_thinks_long_about_a_mail_that_it_has_gets_it_once(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    monkeypatch.setitem(application.config, "MAIL_TIMEOUT", 1)
    server = Answering(silent_after_data=2)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert len(server.accepted) == 1
    assert row_of(database, mail).status is EmailStatus.SENT


def test_a_server_that_sends_a_byte_now_and_then_holds_nobody(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = put()
    monkeypatch.setitem(application.config, "MAIL_TIMEOUT", 1)
    monkeypatch.setattr(smtp, "ALL_TIMEOUTS", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_drip, args=[listener], daemon=True).start()
        drain_to(listener.getsockname()[1], application, monkeypatch)

    row = row_of(database, mail)
    assert (row.status, row.last_error) == (EmailStatus.PENDING, "The mail server did not respond in time.")


def _drip(listener: socket.socket) -> None:
    """Greet without an end."""
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        while True:
            connection.send(b"2")
            time.sleep(0.1)
