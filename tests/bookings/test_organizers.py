"""The event's organizer changes and cancels the bookings of its guests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.models import Event, OutboxEmail
from tests.factories import API, Account, book, make_event, make_organizer, make_user, new_email


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer, capacity=6, max_tickets_per_booking=5)


@pytest.fixture
def booking(client: FlaskClient, user: Account, event: dict[str, Any]) -> dict[str, Any]:
    """Two of the event's six tickets."""
    made = book(client, user, event, ticket_count=2).json
    assert isinstance(made, dict)
    return made


def _change(client: FlaskClient, account: Account, booking: dict[str, Any], **changes: Any) -> Any:
    return client.patch(f"{API}/bookings/{booking['id']}", headers=account.headers, json=changes)


def _cancel(client: FlaskClient, account: Account, booking: dict[str, Any]) -> Any:
    return client.delete(f"{API}/bookings/{booking['id']}", headers=account.headers)


def _left(client: FlaskClient, event: dict[str, Any]) -> int:
    return int(client.get(f"{API}/events/{event['id']}").json["tickets_available"])


def _emails(database: sa.Engine, address: str) -> list[str]:
    with database.connect() as connection:
        emails = sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == address).order_by(OutboxEmail.id)
        return list(connection.scalars(emails))


def _set_times(database: sa.Engine, **from_now: timedelta) -> None:
    with database.begin() as connection:
        times = {name: datetime.now(UTC) + duration for name, duration in from_now.items()}
        connection.execute(sa.update(Event).values(times))


def test_a_booking_of_a_deactivated_account_no_longer_blocks_its_seats(
    client: FlaskClient,
    database: sa.Engine,
    organizer: Account,
    user: Account,
    event: dict[str, Any],
    booking: dict[str, Any],
) -> None:
    client.delete(f"{API}/users/{user.id}", headers=organizer.headers)

    cancelled = _cancel(client, organizer, booking)

    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    assert _cancel(client, organizer, booking).json == cancelled.json
    assert _left(client, event) == 6
    assert "booking_cancelled" in _emails(database, user.email)


def test_the_count_changes_within_capacity_and_the_limit_per_booking(
    client: FlaskClient, organizer: Account, event: dict[str, Any], booking: dict[str, Any]
) -> None:
    book(client, make_user(client), event)

    assert _change(client, organizer, booking, ticket_count=6).json["code"] == "too-many-tickets"
    assert _change(client, organizer, booking, ticket_count=5).status_code == 200
    assert _left(client, event) == 0
    other = book(client, make_user(client), event)
    assert other.json["code"] == "sold-out"
    assert _change(client, organizer, booking, ticket_count=1).json["ticket_count"] == 1
    assert _left(client, event) == 4


def test_a_bounced_address_is_corrected_and_the_guest_notified(
    client: FlaskClient, database: sa.Engine, organizer: Account, user: Account, booking: dict[str, Any]
) -> None:
    address = new_email()

    changed = _change(client, organizer, booking, guest_name="Grace Hopper", guest_email=address)

    assert changed.status_code == 200, changed.text
    assert (changed.json["guest_name"], changed.json["guest_email"]) == ("Grace Hopper", address)
    assert changed.json["user_id"] == user.id
    assert _emails(database, address) == ["booking_confirmed"]
    assert _emails(database, user.email)[-1:] == ["booking_reassigned"]
    with database.connect() as connection:  # names the organizer, who chose this guest
        [payload] = connection.scalars(sa.select(OutboxEmail.payload).where(OutboxEmail.recipient == address))
    assert payload["buyer_email"] == organizer.email
    assert client.get(f"{API}/bookings/{booking['id']}", headers=user.headers).json == changed.json


def test_strangers_cannot_use_up_the_limit_of_an_organizer(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, organizer: Account, event: dict[str, Any]
) -> None:
    monkeypatch.setitem(app.config, "MAILBOX_LIMIT", "1 per hour")
    guest = new_email()
    booking = book(client, make_user(client), event, guest_email=guest).json
    assert book(client, make_user(client), event, guest_email=guest).status_code == 429

    assert _change(client, organizer, booking, guest_name="Grace Hopper").status_code == 200


def test_the_organizer_can_change_bookings_until_the_event_ends_whenever_booking_closes(
    client: FlaskClient,
    database: sa.Engine,
    organizer: Account,
    user: Account,
    event: dict[str, Any],
    booking: dict[str, Any],
) -> None:
    other = book(client, user, event).json
    day = timedelta(days=1)
    _set_times(database, starts_at=-day, ends_at=day, booking_closes_at=-2 * day)

    assert _change(client, user, booking, ticket_count=3).json["code"] == "event-not-open"
    assert _change(client, organizer, booking, ticket_count=3).status_code == 200
    assert _cancel(client, organizer, other).status_code == 200

    _set_times(database, ends_at=-timedelta(seconds=1))
    for refused in (_change(client, organizer, booking, ticket_count=1), _cancel(client, organizer, booking)):
        assert (refused.status_code, refused.json["code"]) == (409, "event-not-open")
        assert refused.json["detail"] == "The event has ended."


def test_the_organizer_of_another_event_finds_no_booking(
    client: FlaskClient, organizer: Account, booking: dict[str, Any]
) -> None:
    for stranger in (make_organizer(client), make_user(client)):
        assert _change(client, stranger, booking, ticket_count=1).status_code == 404
        assert _cancel(client, stranger, booking).status_code == 404


def test_an_organizer_who_is_demoted_no_longer_changes_bookings(
    client: FlaskClient, organizer: Account, booking: dict[str, Any]
) -> None:
    demoted = client.patch(f"{API}/users/{organizer.id}", headers=make_organizer(client).headers, json={"role": "user"})
    assert demoted.status_code == 200
    login = client.post(f"{API}/auth/login", json={"email": organizer.email, "password": "correct horse battery"})

    account = Account(organizer.id, organizer.email, login.json["access_token"], "")

    assert _cancel(client, account, booking).status_code == 404
