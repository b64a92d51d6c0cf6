"""Writes outbox rows and sends them from this process to any server."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.database.transactions import transaction
from bookings_api.mail import outbox, tasks
from bookings_api.models import EmailKind, OutboxEmail
from tests.factories import API, Account, new_email
from tests.mail.composing import PAYLOAD, received
from tests.mail.smtp_server import ScriptedServer


def add_due_email(
    kind: EmailKind = EmailKind.BOOKING_CONFIRMED, *, recipient: str | None = None, **payload: Any
) -> OutboxEmail:
    """Write a due email. Needs an application context."""
    with transaction():
        return outbox.add_email(kind=kind, recipient=recipient or new_email(), payload={**PAYLOAD, **payload})


def row_of(database: sa.Engine, email: OutboxEmail) -> Any:
    """Return the committed row."""
    with database.connect() as connection:
        return connection.execute(sa.select(OutboxEmail).where(OutboxEmail.id == email.id)).one()


def drain_to(port: int, application: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send due emails to the server on `port`."""
    monkeypatch.setattr(application.extensions["mail"], "port", port)
    tasks.drain()


def let_time_pass(database: sa.Engine) -> None:
    """Make every email due."""
    with database.begin() as connection:
        connection.execute(sa.update(OutboxEmail).values(next_attempt_at=sa.func.now()))


def emails_about(client: FlaskClient, account: Account, booking: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kind and status of each email about a booking, oldest first."""
    emails: Any = client.get(f"{API}/bookings/{booking['id']}/emails", headers=account.headers).json
    return [(email["kind"], email["status"]) for email in reversed(emails)]


class Delivery:
    """A worker and a mail server that first defers every email."""

    def __init__(self, app: Flask, server: ScriptedServer, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app, self._server, self._port, self._monkeypatch = app, server, port, monkeypatch

    def run(self) -> None:
        with self._app.app_context():
            drain_to(self._port, self._app, self._monkeypatch)

    def remind(self) -> None:
        with self._app.app_context():
            tasks.remind()

    def recover(self) -> None:
        self._server.behave()
        self.run()

    @property
    def accepted(self) -> list[bytes]:
        return self._server.accepted

    def received(self) -> list[tuple[str, str]]:
        messages = [received(content) for content in self._server.accepted]
        return [(str(message["To"]), str(message["Subject"]).split(":")[0]) for message in messages]
