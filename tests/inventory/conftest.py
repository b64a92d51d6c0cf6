"""Fixtures for holds, payments and waiting lists, and the requests that the tests share."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.inventory.sweep import sweep
from tests.factories import API, Account, Key, book, make_event, make_key, make_user
from tests.payments import make_priced_event, pay
from tests.sql import execute

pytestmark = pytest.mark.usefixtures("audited")

Event = dict[str, Any]


@pytest.fixture
def key(client: FlaskClient, organizer: Account) -> Key:
    return make_key(client, organizer)


@pytest.fixture
def priced(client: FlaskClient, organizer: Account) -> Event:
    """An event whose tickets cost 18 euros."""
    return make_priced_event(client, organizer, capacity=5)


@pytest.fixture
def waiting(client: FlaskClient, organizer: Account) -> Event:
    """A free event with four tickets and a waiting list."""
    return make_event(client, organizer, capacity=4, waitlist="on")


@pytest.fixture
def full(client: FlaskClient, user: Account, waiting: Event) -> Any:
    """A booking that takes all tickets of the event `waiting`."""
    return book(client, user, waiting, ticket_count=4).json


@pytest.fixture
def run_sweep(app: Flask) -> Callable[[], None]:
    """Run the periodic task, as the worker does."""

    def run() -> None:
        with app.app_context():
            sweep()

    return run


def confirm(client: FlaskClient, sender: Account | Key, booking: Any, **payment: Any) -> Any:
    """Confirm a booking, with a payment if one is due or fields of one are given."""
    if payment or booking["amount_due"]:
        return pay(client, sender, booking, **payment)
    return client.post(f"{API}/bookings/{booking['id']}/confirm", headers=sender.headers, json={})


def extend(client: FlaskClient, sender: Account | Key, booking: Any) -> Any:
    return client.post(f"{API}/bookings/{booking['id']}/extend", headers=sender.headers)


def cancel(client: FlaskClient, sender: Account | Key, booking: Any) -> Any:
    return client.delete(f"{API}/bookings/{booking['id']}", headers=sender.headers)


def get(client: FlaskClient, sender: Account | Key, booking: Any) -> Any:
    return client.get(f"{API}/bookings/{booking['id']}", headers=sender.headers).json


def let_holds_expire(database: sa.Engine) -> None:
    """Move the holds of all bookings into the past, as if a day had passed."""
    execute(database, "UPDATE bookings SET held_until = held_until - interval '1 day' WHERE status = 'held'")


def emails_about(database: sa.Engine, booking: Any) -> list[str]:
    """Return the kinds of the emails about a booking, oldest first."""
    query = sa.text("SELECT kind FROM outbox_emails WHERE booking_id = :id ORDER BY id")
    with database.connect() as connection:
        return list(connection.scalars(query, {"id": booking["id"]}))


def code_of(response: Any) -> tuple[int, str | None]:
    """Return the status and, for a problem, the code."""
    return response.status_code, response.json.get("code")


def join(client: FlaskClient, event: Event, count: int, **order: Any) -> tuple[Account, Any]:
    account = make_user(client)
    joined = book(client, account, event, ticket_count=count, waitlist=True, **order)
    assert joined.status_code == 201, joined.text
    return account, joined.json


def change(client: FlaskClient, organizer: Account, event: Event, **changes: Any) -> None:
    changed = client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json=changes)
    assert changed.status_code == 200, changed.text


def statuses(client: FlaskClient, *parties: tuple[Account, Any]) -> list[str]:
    return [get(client, account, booking)["status"] for account, booking in parties]
