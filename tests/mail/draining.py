"""Writes outbox rows and sends them from this process to any server."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.database.transactions import transaction
from bookings_api.mail import outbox, tasks
from bookings_api.models import EmailKind, OutboxEmail
from tests.factories import new_email
from tests.mail.composing import PAYLOAD


def add_due_email(kind: EmailKind = EmailKind.BOOKING_CONFIRMED, **payload: Any) -> OutboxEmail:
    """Write a due email. Needs an application context."""
    with transaction():
        return outbox.add_email(kind=kind, recipient=new_email(), payload={**PAYLOAD, **payload})


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
