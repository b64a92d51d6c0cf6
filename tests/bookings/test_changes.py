"""Changing, cancelling and listing bookings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Event, OutboxEmail
from tests.factories import API, Account, book, make_event, make_user, new_email


@pytest.fixture
def event(client: FlaskClient) -> dict[str, Any]:
    return make_event(client, capacity=6, max_tickets_per_booking=5)


@pytest.fixture
def booking(client: FlaskClient, user: Account, event: dict[str, Any]) -> dict[str, Any]:
    """Two of the event's six tickets."""
    made = book(client, user, event, ticket_count=2).json
    assert isinstance(made, dict)
    return made


def _change(client: FlaskClient, user: Account, booking: dict[str, Any], **changes: Any) -> Any:
    return client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json=changes)


def _cancel(client: FlaskClient, user: Account, booking: dict[str, Any]) -> Any:
    return client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers)


def _left(client: FlaskClient, event: dict[str, Any]) -> int:
    return int(client.get(f"{API}/events/{event['id']}").json["tickets_available"])


def _kinds(database: sa.Engine, address: str) -> list[str]:
    with database.connect() as connection:
        emails = sa.select(OutboxEmail.kind).where(OutboxEmail.recipient == address).order_by(OutboxEmail.id)
        return list(connection.scalars(emails))


def _set(database: sa.Engine, **values: Any) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(values))


@pytest.mark.parametrize(("count", "left"), [(1, 5), (2, 4), (5, 1)])
def test_changing_the_count_takes_or_releases_tickets(
    client: FlaskClient, user: Account, event: dict[str, Any], booking: dict[str, Any], count: int, left: int
) -> None:
    changed = _change(client, user, booking, ticket_count=count)

    assert (changed.status_code, changed.json["ticket_count"]) == (200, count)
    assert changed.json["version"] == (1 if count == 2 else 2)
    assert _left(client, event) == left


def test_a_refused_change_changes_nothing(
    client: FlaskClient, user: Account, event: dict[str, Any], booking: dict[str, Any]
) -> None:
    book(client, make_user(client), event, ticket_count=3)

    sold_out = _change(client, user, booking, ticket_count=4, guest_name="Grace")
    too_many = _change(client, user, booking, ticket_count=6)

    assert (sold_out.status_code, sold_out.json["code"], sold_out.json["tickets_available"]) == (409, "sold-out", 1)
    assert (too_many.status_code, too_many.json["code"]) == (422, "too-many-tickets")
    assert client.get(f"{API}/bookings/{booking['id']}", headers=user.headers).json == booking
    assert _left(client, event) == 1


def test_a_new_guest_gets_a_confirmation_and_the_former_guest_a_cancellation(
    client: FlaskClient, user: Account, booking: dict[str, Any], database: sa.Engine
) -> None:
    guest_email = new_email()

    changed = _change(client, user, booking, guest_name="Grace Hopper", guest_email=guest_email)

    assert (changed.json["guest_name"], changed.json["guest_email"]) == ("Grace Hopper", guest_email)
    assert _kinds(database, user.email) == ["booking_confirmed", "booking_reassigned"]
    assert _kinds(database, guest_email) == ["booking_confirmed"]


def test_an_address_in_another_case_is_the_same_guest(
    client: FlaskClient, user: Account, booking: dict[str, Any], database: sa.Engine
) -> None:
    local_part, _, domain = user.email.partition("@")

    changed = _change(client, user, booking, guest_email=f"{local_part.upper()}@{domain}")

    assert (changed.status_code, changed.json["version"]) == (200, 2)
    assert _kinds(database, user.email) == ["booking_confirmed"]
    assert _kinds(database, changed.json["guest_email"]) == ["booking_changed"]


def test_a_change_to_the_same_values_changes_nothing_and_sends_no_email(
    client: FlaskClient, user: Account, booking: dict[str, Any], database: sa.Engine
) -> None:
    assert _change(client, user, booking, ticket_count=2, guest_name=booking["guest_name"]).json == booking
    assert _change(client, user, booking).json == booking
    assert _kinds(database, user.email) == ["booking_confirmed"]


def test_cancelling_releases_the_tickets_and_can_be_repeated(
    client: FlaskClient, user: Account, event: dict[str, Any], booking: dict[str, Any], database: sa.Engine
) -> None:
    cancelled = _cancel(client, user, booking)

    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    assert cancelled.json["cancelled_at"]
    assert _left(client, event) == 6
    again = _cancel(client, user, booking)
    assert (again.status_code, again.json) == (200, cancelled.json)
    assert _left(client, event) == 6
    assert _kinds(database, user.email) == ["booking_confirmed", "booking_cancelled"]


def test_a_cancelled_booking_cannot_be_changed(client: FlaskClient, user: Account, booking: dict[str, Any]) -> None:
    _cancel(client, user, booking)

    response = _change(client, user, booking, ticket_count=1)

    assert (response.status_code, response.json["code"]) == (409, "booking-cancelled")


def test_a_booking_cannot_be_changed_or_cancelled_once_the_event_has_started(
    client: FlaskClient, user: Account, booking: dict[str, Any], database: sa.Engine
) -> None:
    _set(database, starts_at=datetime.now(UTC) - timedelta(minutes=1))

    for response in (_change(client, user, booking, guest_name="Grace"), _cancel(client, user, booking)):
        assert (response.status_code, response.json["code"]) == (409, "event-not-open")


def test_after_booking_closes_tickets_can_be_released_but_not_taken(
    client: FlaskClient, user: Account, event: dict[str, Any], booking: dict[str, Any], database: sa.Engine
) -> None:
    _set(database, booking_closes_at=datetime.now(UTC) - timedelta(minutes=1))

    assert _change(client, user, booking, ticket_count=3).json["code"] == "event-not-open"
    assert _change(client, user, booking, ticket_count=1).status_code == 200
    assert _cancel(client, user, booking).status_code == 200
    assert _left(client, event) == 6


@pytest.mark.parametrize("field", ["status", "event_id", "user_id", "reference", "version", "cancelled_at"])
def test_fields_set_by_the_server_are_refused(
    client: FlaskClient, user: Account, booking: dict[str, Any], field: str
) -> None:
    response = _change(client, user, booking, **{field: "x"})

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [field]


def test_the_list_is_filtered_by_status_event_and_time(
    client: FlaskClient, user: Account, event: dict[str, Any], booking: dict[str, Any], database: sa.Engine
) -> None:
    _set(database, starts_at=datetime.now(UTC) - timedelta(hours=1), ends_at=datetime.now(UTC) - timedelta(minutes=1))
    other = make_event(client)
    second, third = (book(client, user, other).json for _ in range(2))
    _cancel(client, user, third)

    def listed(query: str) -> list[str]:
        response = client.get(f"{API}/bookings/?{query}", headers=user.headers)
        assert response.status_code == 200, response.text
        return [found["id"] for found in response.json]

    assert listed("") == [third["id"], second["id"], booking["id"]]
    assert listed("status=confirmed") == [second["id"], booking["id"]]
    assert listed(f"event_id={event['id']}") == [booking["id"]]
    assert listed("upcoming=true") == [third["id"], second["id"]]
    assert listed("upcoming=false") == [booking["id"]]
    assert listed("upcoming=true&status=cancelled") == [third["id"]]


@pytest.mark.parametrize("query", ["status=gone", "event_id=x", "upcoming=1", "upcoming=", "user_id=x"])
def test_an_invalid_filter_is_reported(client: FlaskClient, user: Account, query: str) -> None:
    response = client.get(f"{API}/bookings/?{query}", headers=user.headers)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == [query.split("=", maxsplit=1)[0]]
