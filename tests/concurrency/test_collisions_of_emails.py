"""Resent confirmations that collide with other requests to the running service."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import EmailKind, OutboxEmail
from tests.concurrency.harness import Call, collide
from tests.factories import Account, book, make_event, make_organizer

pytestmark = pytest.mark.usefixtures("audited")

ROUNDS = 8


def _resend(user: Account, booking: Mapping[str, Any]) -> Call:
    return Call("resend", user, "POST", f"/bookings/{booking['id']}/emails")


def _kinds(database: sa.Engine, booking: Mapping[str, Any]) -> list[EmailKind]:
    """The kinds of the booking's emails, in the order they were written."""
    emails = sa.select(OutboxEmail.kind).where(OutboxEmail.booking_id == UUID(booking["id"]))
    with database.connect() as connection:
        return list(connection.scalars(emails.order_by(OutboxEmail.created_at)))


def test_no_confirmation_follows_a_cancellation(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, user: Account
) -> None:
    organizer = make_organizer(client)
    for _ in range(ROUNDS):
        booking = book(client, user, make_event(client, organizer)).json
        cancel = Call("cancel", user, "DELETE", f"/bookings/{booking['id']}")

        outcomes = collide(http, _resend(user, booking), cancel, _resend(user, booking))

        sent_again = outcomes["resend 202"]
        assert outcomes["cancel 200"] == 1
        assert sent_again + outcomes["resend 409 booking-cancelled"] == 2
        assert _kinds(database, booking) == [EmailKind.BOOKING_CONFIRMED] * (1 + sent_again) + [
            EmailKind.BOOKING_CANCELLED
        ]


def test_simultaneous_requests_send_no_more_emails_than_the_limit(
    client: FlaskClient, database: sa.Engine, http: httpx.Client, user: Account
) -> None:
    booking = book(client, user, make_event(client)).json

    outcomes = collide(http, *[_resend(user, booking)] * 12)

    assert outcomes == {"resend 202": 3, "resend 429 too-many-requests": 9}
    assert len(_kinds(database, booking)) == 4
