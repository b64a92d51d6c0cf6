"""Changing, publishing, cancelling and deleting events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking, Event, EventBroadcast
from tests.factories import API, Account, book, make_event, make_organizer, make_user


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    return make_event(client, organizer)


def _url(event: dict[str, Any], action: str = "") -> str:
    return f"{API}/events/{event['id']}{action}"


def _change(client: FlaskClient, organizer: Account, event: dict[str, Any], **changes: Any) -> Any:
    return client.patch(_url(event), headers=organizer.headers, json=changes)


def _broadcasts(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return list(connection.scalars(sa.select(EventBroadcast.kind).order_by(EventBroadcast.id)))


def _is_refused(response: Any, status: int, code: str, *fields: str) -> bool:
    errors = [error["field"] for error in response.json.get("errors", [])]
    return bool((response.status_code, response.json["code"], errors) == (status, code, list(fields)))


def test_only_the_given_fields_change(client: FlaskClient, organizer: Account, event: dict[str, Any]) -> None:
    changed = _change(client, organizer, event, title="Schubert", capacity=12, booking_closes_at="2099-06-01T00:00:00Z")

    assert changed.status_code == 200
    expected = event | {
        "title": "Schubert",
        "capacity": 12,
        "tickets_available": 12,
        "booking_closes_at": "2099-06-01T00:00:00+00:00",
        "version": 2,
        "updated_at": changed.json["updated_at"],
    }
    assert changed.json == expected
    assert client.get(_url(event)).json == expected


def test_a_change_without_effect_keeps_the_version(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    assert _change(client, organizer, event, title=event["title"], starts_at=event["starts_at"]).json == event
    assert _change(client, organizer, event).json == event


@pytest.mark.parametrize(
    "field", ["status", "organizer_id", "tickets_booked", "tickets_available", "version", "id", "deleted_at"]
)
def test_fields_managed_by_the_service_are_read_only(
    client: FlaskClient, organizer: Account, event: dict[str, Any], field: str
) -> None:
    assert _is_refused(_change(client, organizer, event, **{field: 1}), 422, "invalid-input", field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"starts_at": "2099-06-20T19:30:00Z"}, "ends_at"),
        ({"ends_at": "2099-06-01T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "starts_at"),
        ({"booking_opens_at": "2099-06-20T00:00:00Z"}, "booking_opens_at"),
        ({"ends_at": "2020-06-20T00:00:00Z"}, "ends_at"),
        ({"booking_closes_at": "2099-06-20T00:00:00Z"}, "booking_closes_at"),
        (
            {"booking_opens_at": "2099-02-01T00:00:00Z", "booking_closes_at": "2099-01-01T00:00:00Z"},
            "booking_closes_at",
        ),
    ],
)
def test_changed_times_must_be_consistent_with_unchanged_ones(
    client: FlaskClient, organizer: Account, event: dict[str, Any], changes: dict[str, str], field: str
) -> None:
    assert _is_refused(_change(client, organizer, event, **changes), 422, "invalid-input", field)
    assert client.get(_url(event)).json == event


def test_capacity_cannot_drop_below_the_tickets_booked(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    book(client, make_user(client), event, ticket_count=4)

    refused = _change(client, organizer, event, capacity=3)

    assert _is_refused(refused, 409, "capacity-below-booked", "capacity")
    assert refused.json["tickets_booked"] == 4
    assert _change(client, organizer, event, capacity=4).json["tickets_available"] == 0


@pytest.mark.parametrize(
    ("method", "action"),
    [("PATCH", ""), ("DELETE", ""), ("POST", "/publish"), ("POST", "/cancel"), ("GET", "/bookings")],
)
def test_only_the_owner_can_manage_an_event(
    client: FlaskClient, event: dict[str, Any], organizer: Account, method: str, action: str
) -> None:
    draft = make_event(client, organizer, status="draft")
    options: dict[str, Any] = {"method": method, "json": {} if method == "PATCH" else None}

    def status(event: dict[str, Any], account: Account | None) -> int:
        return client.open(_url(event, action), headers=account.headers if account else {}, **options).status_code

    assert status(event, None) == 401
    assert status(event, make_user(client)) == 403
    assert status(event, make_organizer(client)) == 403
    assert status(draft, make_organizer(client)) == 404


def test_guests_are_notified_only_of_changes_that_their_calendars_show(
    client: FlaskClient, organizer: Account, event: dict[str, Any], database: sa.Engine
) -> None:
    _change(client, organizer, event, location="Changed before the first booking")
    book(client, make_user(client), event)
    _change(client, organizer, event, description="", capacity=20)
    assert _broadcasts(database) == []

    _change(client, organizer, event, location="Philharmonie")
    _change(client, organizer, event, ends_at="2099-06-19T23:00:00+02:00")
    _change(client, organizer, event, title="Schubert")

    assert _broadcasts(database) == ["event_changed"] * 3


def test_publishing_a_draft_opens_it_for_booking_and_can_be_repeated(client: FlaskClient, organizer: Account) -> None:
    draft = make_event(client, organizer, status="draft")

    published = client.post(_url(draft, "/publish"), headers=organizer.headers)

    assert (published.status_code, published.json["status"], published.json["version"]) == (200, "published", 2)
    assert client.post(_url(draft, "/publish"), headers=organizer.headers).json == published.json
    assert book(client, make_user(client), draft).status_code == 201


def test_cancelling_an_event_cancels_every_booking_and_can_be_repeated(
    client: FlaskClient, organizer: Account, event: dict[str, Any], database: sa.Engine
) -> None:
    users = [make_user(client) for _ in range(3)]
    bookings = [book(client, user, event, ticket_count=2).json for user in users]
    client.delete(f"{API}/bookings/{bookings[0]['id']}", headers=users[0].headers)

    cancelled = client.post(_url(event, "/cancel"), headers=organizer.headers)

    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    assert (cancelled.json["tickets_booked"], cancelled.json["tickets_available"]) == (0, 10)
    with database.connect() as connection:
        assert set(connection.scalars(sa.select(Booking.status))) == {"cancelled"}
    assert client.post(_url(event, "/cancel"), headers=organizer.headers).json == cancelled.json
    assert _broadcasts(database) == ["event_cancelled"]
    assert book(client, users[0], event).json["code"] == "event-not-open"


def test_a_draft_can_be_deleted_but_not_cancelled(client: FlaskClient, organizer: Account, database: sa.Engine) -> None:
    draft = make_event(client, organizer, status="draft")
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(starts_at=datetime.now(UTC) - timedelta(minutes=1)))

    refused = client.post(_url(draft, "/cancel"), headers=organizer.headers)

    assert _is_refused(refused, 409, "event-not-published")
    assert client.get(f"{API}/events/all").json == []
    later = {"starts_at": "2099-07-01T00:00:00Z", "ends_at": "2099-07-02T00:00:00Z"}
    assert _change(client, organizer, draft, **later).status_code == 200
    assert client.delete(_url(draft), headers=organizer.headers).status_code == 204


def test_a_change_after_the_event_has_ended_notifies_no_guests(
    client: FlaskClient, organizer: Account, event: dict[str, Any], database: sa.Engine
) -> None:
    book(client, make_user(client), event)
    with database.begin() as connection:
        past = datetime.now(UTC) - timedelta(minutes=1)
        connection.execute(sa.update(Event).values(starts_at=past - timedelta(hours=1), ends_at=past))

    assert _change(client, organizer, event, location="Philharmonie").status_code == 200
    assert _broadcasts(database) == []


def test_a_cancelled_event_cannot_be_changed_or_published(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    client.post(_url(event, "/cancel"), headers=organizer.headers)

    assert _is_refused(_change(client, organizer, event, title="x"), 409, "event-cancelled")
    assert _is_refused(client.post(_url(event, "/publish"), headers=organizer.headers), 409, "event-cancelled")


def test_deleting_an_event_hides_it_and_cancels_its_bookings(
    client: FlaskClient, organizer: Account, event: dict[str, Any], database: sa.Engine
) -> None:
    user = make_user(client)
    booking = book(client, user, event).json

    assert client.delete(_url(event), headers=organizer.headers).status_code == 204

    assert client.get(_url(event), headers=organizer.headers).status_code == 404
    assert client.get(f"{API}/events/all").json == []
    assert client.delete(_url(event), headers=organizer.headers).status_code == 404
    assert book(client, user, event).status_code == 404
    cancelled = client.get(f"{API}/bookings/{booking['id']}", headers=user.headers).json
    assert cancelled["status"] == "cancelled"
    assert client.delete(f"{API}/bookings/{booking['id']}", headers=user.headers).json == cancelled
    assert _broadcasts(database) == ["event_cancelled"]


def test_attendees_are_listed_in_booking_order(client: FlaskClient, organizer: Account, event: dict[str, Any]) -> None:
    users = [make_user(client) for _ in range(3)]
    references = [book(client, user, event).json["reference"] for user in users]
    cancelled = client.get(f"{API}/bookings/", headers=users[1].headers).json[0]
    client.delete(f"{API}/bookings/{cancelled['id']}", headers=users[1].headers)

    def listed(query: str = "") -> list[str]:
        response = client.get(_url(event, f"/bookings{query}"), headers=organizer.headers)
        return [booking["reference"] for booking in response.json]

    assert listed() == references
    assert listed("?status=confirmed") == [references[0], references[2]]
    assert listed("?status=cancelled&page_size=1") == [references[1]]
