"""Mails of the outbox, and sending them in this process to a server of the test's choice."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.database.transactions import transaction
from bookings_api.mail import outbox, tasks
from bookings_api.models import EmailKind, OutboxEmail
from tests.factories import new_email
from tests.mail.composing import PAYLOAD


def put(kind: EmailKind = EmailKind.BOOKING_CONFIRMED, **payload: Any) -> OutboxEmail:
    """A mail that is due, in an application context."""
    with transaction():
        return outbox.add_email(kind=kind, recipient=new_email(), payload={**PAYLOAD, **payload})


def row_of(database: sa.Engine, mail: OutboxEmail) -> Any:
    """The mail as it is committed."""
    with database.connect() as connection:
        return connection.execute(sa.select(OutboxEmail).where(OutboxEmail.id == mail.id)).one()


def drain_to(port: int, application: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send what is due to the server on `port`."""
    monkeypatch.setattr(application.extensions["mail"], "port", port)
    tasks.drain()


def let_time_pass(database: sa.Engine) -> None:
    """End every back-off."""
    with database.begin() as connection:
        connection.execute(sa.update(OutboxEmail).values(next_attempt_at=sa.func.now()))
