"""SMTP servers that are unreachable, silent, slow or refuse emails."""

import socket
import time
from contextlib import suppress
from email import message_from_bytes
from email.policy import SMTPUTF8
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.local_stack.processes import free_port
from bookings_api.mail import smtp
from bookings_api.models import EmailStatus
from tests.mail.draining import add_due_email, drain_to, row_of
from tests.mail.smtp_server import ScriptedServer, smtp_server

pytestmark = pytest.mark.usefixtures("context")


@pytest.mark.parametrize(
    "replies", [{"ehlo": "554 not for you"}, {"mail": "530 log in first"}], ids=["greeting", "sender"]
)
def test_a_server_that_refuses_the_connection_loses_no_email(
    replies: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    with smtp_server(ScriptedServer(**replies)) as port:
        drain_to(port, application, monkeypatch)

    row = row_of(database, email)
    assert row.status is EmailStatus.PENDING
    assert row.last_error == "The mail server refused the connection."


def test_a_server_that_disconnects_after_accepting_gets_the_email_once(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    server = ScriptedServer(hangs_up=True)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert len(server.accepted) == 1
    assert row_of(database, email).status is EmailStatus.SENT


def test_a_server_that_disconnects_after_refusing_is_not_tried_again(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    with smtp_server(ScriptedServer(data="550 spam", hangs_up=True)) as port:
        drain_to(port, application, monkeypatch)

    assert row_of(database, email).status is EmailStatus.FAILED


def test_an_unreachable_server_defers_the_email(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()

    drain_to(free_port(), application, monkeypatch)

    row = row_of(database, email)
    assert (row.status, row.attempts) == (EmailStatus.PENDING, 1)
    assert row.last_error == "The mail server could not be reached."


def test_all_due_emails_use_one_connection(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails = [add_due_email() for _ in range(5)]
    server = ScriptedServer()
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (5, 1)
    assert {row_of(database, email).status for email in emails} == {EmailStatus.SENT}


@pytest.mark.parametrize("replies", [{"rcpt": "550 no such user"}, {"rcpt": "450 busy"}, {"data": "451 try later"}])
def test_a_refused_email_does_not_delay_the_others(
    replies: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails = [add_due_email() for _ in range(3)]
    server = ScriptedServer(**replies, only_for=emails[0].recipient)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (2, 1)
    assert [row_of(database, email).attempts for email in emails] == [1, 1, 1]


@pytest.mark.parametrize("farewell", [{"hangs_up": True}, {"emails_per_connection": 1}], ids=["hangs up", "says 421"])
def test_a_server_that_accepts_one_email_per_connection_gets_all(
    farewell: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails = [add_due_email() for _ in range(3)]
    server = ScriptedServer(**farewell)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (3, 3)
    assert [row_of(database, email).attempts for email in emails] == [1, 1, 1]


def test_a_server_that_disconnects_during_one_email_gets_the_others(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails = [add_due_email() for _ in range(3)]
    server = ScriptedServer(drops_after_data=True)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert (len(server.accepted), server.connections) == (3, 3)
    rows = [row_of(database, email) for email in emails]
    assert [row.attempts for row in rows] == [1, 1, 1]
    assert {row.last_error for row in rows} == {"The mail server closed the connection."}


@pytest.mark.parametrize("replies", [{"mail": "421 shutting down"}, {"rcpt": "421 shutting down"}])
def test_a_server_that_is_shutting_down_is_not_contacted_until_the_next_sweep(
    replies: dict[str, Any], application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails = [add_due_email() for _ in range(3)]
    server = ScriptedServer(**replies)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert server.connections == 1
    assert [row_of(database, email).attempts for email in emails] == [1, 0, 0]


def test_a_silent_server_is_abandoned_after_the_timeout(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    monkeypatch.setitem(application.config, "MAIL_TIMEOUT", 1)
    with smtp_server(ScriptedServer(silent_for=10)) as port:
        drain_to(port, application, monkeypatch)

    row = row_of(database, email)
    assert row.status is EmailStatus.PENDING
    assert row.last_error == "The mail server did not respond in time."


def test_a_server_that_is_slow_to_accept_gets_the_email_once(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    monkeypatch.setitem(application.config, "MAIL_TIMEOUT", 1)
    server = ScriptedServer(silent_after_data=2)
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert len(server.accepted) == 1
    assert row_of(database, email).status is EmailStatus.SENT


def test_a_server_that_trickles_bytes_cannot_block_a_worker(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email()
    monkeypatch.setitem(application.config, "MAIL_TIMEOUT", 1)
    monkeypatch.setattr(smtp, "ALL_TIMEOUTS", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_drip, args=[listener], daemon=True).start()
        drain_to(listener.getsockname()[1], application, monkeypatch)

    row = row_of(database, email)
    assert (row.status, row.last_error) == (EmailStatus.PENDING, "The mail server did not respond in time.")


def _drip(listener: socket.socket) -> None:
    """Greet forever, one byte at a time."""
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        while True:
            connection.send(b"2")
            time.sleep(0.1)


def test_an_address_that_is_not_ascii_is_sent_where_the_server_supports_it(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails = [add_due_email(recipient=recipient) for recipient in ("jos\xe9@example.com", "grace@example.com")]
    server = ScriptedServer()
    with smtp_server(server) as port:
        drain_to(port, application, monkeypatch)

    assert [row_of(database, email).status for email in emails] == [EmailStatus.SENT] * 2
    assert sorted(message_from_bytes(raw, policy=SMTPUTF8)["To"] for raw in server.accepted) == [
        "grace@example.com", "jos\xe9@example.com"
    ]  # fmt: skip


def test_an_address_that_is_not_ascii_fails_once_where_the_server_does_not_support_it(
    application: Flask, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = add_due_email(recipient="jos\xe9@example.com")
    with smtp_server(ScriptedServer(), enable_SMTPUTF8=False) as port:
        drain_to(port, application, monkeypatch)

    row = row_of(database, email)
    assert (row.status, row.attempts) == (EmailStatus.FAILED, 1)
    assert row.last_error == "The mail server accepts only ASCII addresses (no SMTPUTF8)."
