"""Confirmations after the hold, the sale or the event has ended."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.permissions import Tenancy
from bookings_api.users.operators import activate_account, deactivate_account
from tests.factories import API, Account, Key, book, book_for_guest, make_event, make_owner, make_user
from tests.inventory.conftest import Event, cancel, code_of, confirm, extend, get, join, let_holds_expire
from tests.inventory.conftest import statuses as statuses_of
from tests.sql import execute

pytestmark = pytest.mark.usefixtures("audited")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ticket_types SET price = 5000",
        "UPDATE ticket_types SET sales_close_at = now()",
        "UPDATE ticket_types SET is_hidden = true",
        "UPDATE events SET booking_closes_at = now()",
    ],
    ids=["priced", "off sale", "hidden", "closed"],
)
def test_expired_holds_of_free_tickets_need_tickets_that_are_still_free_and_on_sale(
    client: FlaskClient, user: Account, organizer: Account, database: sa.Engine, change: str
) -> None:
    event = make_event(client, organizer, currency="EUR")
    held = book(client, user, event, hold_minutes=1).json
    let_holds_expire(database)
    execute(database, change)

    assert code_of(confirm(client, user, held)) == (409, "hold-expired")
    assert get(client, user, held)["status"] == "expired"


def test_a_customer_who_has_paid_gets_the_tickets_after_sales_have_closed(
    client: FlaskClient, key: Key, priced: Event, database: sa.Engine
) -> None:
    held = book_for_guest(client, key, priced).json
    let_holds_expire(database)
    execute(database, "UPDATE events SET booking_closes_at = now()")

    assert confirm(client, key, held).json["status"] == "confirmed"


def test_after_the_event_a_payment_must_be_refunded_and_no_hold_extended(
    client: FlaskClient, key: Key, priced: Event, database: sa.Engine
) -> None:
    held = book_for_guest(client, key, priced).json
    execute(
        database,
        "UPDATE events SET starts_at = now() - interval '2 hours', ends_at = now() - interval '1 hour'",
    )

    assert code_of(extend(client, key, held)) == (409, "event-not-open")
    assert code_of(confirm(client, key, held)) == (409, "hold-expired")
    assert get(client, key, held)["refund_due"] is True


@pytest.fixture
def revoked(own_organizations: FlaskClient, database: sa.Engine) -> Any:
    """A customer with a confirmed, a held, an expired and a waiting booking, whose access is then revoked."""
    client = own_organizations
    owner, customer, other = make_owner(client), make_user(client), make_user(client)
    event = make_event(client, owner, capacity=5, waitlist="on")
    expired = book(client, customer, event, hold_minutes=5).json
    let_holds_expire(database)
    booked = {
        "confirmed": book(client, customer, event).json,
        "held": book(client, customer, event, hold_minutes=5).json,
        "expired": expired,
    }
    others = book(client, other, event, ticket_count=2).json
    booked["waiting"] = book(client, customer, event, ticket_count=2, waitlist=True).json
    removed = client.delete(f"{API}/users/{customer.id}", headers=owner.headers)
    assert removed.status_code == 204, removed.text
    return client, customer, booked, (other, others), owner


def test_a_customer_whose_access_is_revoked_gets_no_more_tickets(revoked: Any, run_sweep: Callable[[], None]) -> None:
    client, customer, booked, (other, others), _ = revoked
    path = f"{API}/bookings/{booked['confirmed']['id']}"

    more = client.patch(path, headers=customer.headers, json={"ticket_count": 2})
    assert code_of(more) == (403, "permission-denied")
    assert code_of(extend(client, customer, booked["held"])) == (403, "permission-denied")
    assert code_of(confirm(client, customer, booked["expired"])) == (409, "hold-expired")
    cancel(client, other, others)
    run_sweep()
    assert get(client, customer, booked["waiting"])["status"] == "waitlisted"
    assert cancel(client, customer, booked["confirmed"]).json["status"] == "cancelled"


def test_a_customer_whose_access_is_restored_is_served_at_once(revoked: Any) -> None:
    client, customer, booked, (other, others), owner = revoked
    cancel(client, other, others)

    restored = client.patch(f"{API}/users/{customer.id}", headers=owner.headers, json={"is_active": True})

    assert restored.status_code == 200
    assert get(client, customer, booked["waiting"])["status"] == "confirmed"


def test_an_account_that_is_activated_again_is_served_at_once(
    app: Flask, client: FlaskClient, user: Account, waiting: Event, full: Any, organizer: Account
) -> None:
    account, party = join(client, waiting, 1)
    with app.app_context():
        deactivate_account(UUID(account.id), tenancy=Tenancy.OPEN)
    assert cancel(client, user, full).status_code == 200
    assert get(client, organizer, party)["status"] == "waitlisted"

    with app.app_context():
        activate_account(UUID(account.id), tenancy=Tenancy.OPEN)

    assert get(client, organizer, party)["status"] == "confirmed"


def test_one_broken_event_does_not_stop_the_sweep(
    client: FlaskClient, user: Account, database: sa.Engine, run_sweep: Callable[[], None]
) -> None:
    events = [make_event(client, capacity=1, waitlist="on") for _ in range(3)]
    for event in events:
        book(client, user, event, hold_minutes=5)
    parties = [join(client, event, 1) for event in events]
    let_holds_expire(database)
    execute(database, f"UPDATE ticket_types SET tickets_held = 0 WHERE event_id = '{events[1]['id']}'")

    run_sweep()

    assert statuses_of(client, *parties) == ["confirmed", "waitlisted", "confirmed"]
    execute(database, f"UPDATE ticket_types SET tickets_held = 1 WHERE event_id = '{events[1]['id']}'")
    run_sweep()
    assert statuses_of(client, parties[1]) == ["confirmed"]
