"""Booking tickets over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import Booking, Event, OutboxEmail
from bookings_api.models.booking import REFERENCE_ALPHABET
from tests.factories import API, book, make_account, make_event, make_organizer, make_user, new_email


def test_a_new_booking_is_returned_with_its_reference_and_location(client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client)

    response = book(client, user, event, ticket_count=2)

    assert response.status_code == 201
    booking = response.json
    assert booking["ticket_count"] == 2
    assert booking["status"] == "confirmed"
    assert booking["user_id"] == user.id
    assert len(booking["reference"]) == 10
    assert set(booking["reference"]) <= set(REFERENCE_ALPHABET)
    assert client.get(response.headers["Location"], headers=user.headers).json == booking


def test_a_booking_takes_tickets_from_the_event(client: FlaskClient) -> None:
    event = make_event(client, capacity=3)
    book(client, make_user(client), event, ticket_count=2)

    after = client.get(f"{API}/events/{event['id']}").json

    assert (after["tickets_booked"], after["tickets_available"]) == (2, 1)


def test_a_booking_defaults_to_one_ticket_and_the_accounts_owner(client: FlaskClient) -> None:
    user = make_user(client)

    booking = book(client, user, make_event(client)).json

    assert booking["ticket_count"] == 1
    assert (booking["guest_name"], booking["guest_email"]) == ("Ada Lovelace", user.email)


def test_the_guest_of_an_account_without_a_name_is_named_by_the_email(client: FlaskClient) -> None:
    user = make_account(client, name=None)

    assert book(client, user, make_event(client)).json["guest_name"] == user.email


def test_a_booking_can_be_for_another_guest(client: FlaskClient) -> None:
    guest_email = new_email()

    booking = book(
        client, make_user(client), make_event(client), guest_name="Grace Hopper", guest_email=guest_email
    ).json

    assert (booking["guest_name"], booking["guest_email"]) == ("Grace Hopper", guest_email)


def test_organizers_can_book(client: FlaskClient) -> None:
    organizer = make_organizer(client)

    assert book(client, organizer, make_event(client, organizer)).status_code == 201


@pytest.mark.parametrize(
    ("asked", "detail"), [(2, "Only 1 ticket is left."), (3, "Only 1 ticket is left.")], ids=["one too many", "two"]
)
def test_a_sold_out_response_says_how_many_tickets_are_left(client: FlaskClient, asked: int, detail: str) -> None:
    event = make_event(client, capacity=3)
    book(client, make_user(client), event, ticket_count=2)

    response = book(client, make_user(client), event, ticket_count=asked)

    assert response.status_code == 409
    assert response.content_type == "application/problem+json"
    assert response.json["code"] == "sold-out"
    assert response.json["detail"] == detail
    assert response.json["tickets_available"] == 1


def test_a_refused_booking_writes_nothing(client: FlaskClient, database: sa.Engine) -> None:
    event = make_event(client, capacity=3)
    book(client, make_user(client), event, ticket_count=2)
    before = _rows(database)

    book(client, make_user(client), event, ticket_count=2)

    assert _rows(database) == before


def _rows(database: sa.Engine) -> list[Any]:
    with database.connect() as connection:
        return [
            connection.execute(sa.select(model.id, model.updated_at)).all() for model in (Booking, OutboxEmail, Event)
        ]


def test_after_the_last_ticket_the_event_is_sold_out(client: FlaskClient) -> None:
    event = make_event(client, capacity=1)

    assert book(client, make_user(client), event).status_code == 201
    assert book(client, make_user(client), event).json["detail"] == "No tickets are left."


def test_more_tickets_than_allowed_per_booking_are_refused(client: FlaskClient) -> None:
    event = make_event(client, capacity=10, max_tickets_per_booking=4)

    response = book(client, make_user(client), event, ticket_count=5)

    assert response.status_code == 422
    assert response.json["code"] == "too-many-tickets"
    assert response.json["errors"] == [
        {"in": "body", "field": "ticket_count", "detail": "A booking for this event can have at most 4 tickets."}
    ]


def test_tickets_cannot_be_booked_before_booking_opens(client: FlaskClient) -> None:
    event = make_event(client, booking_opens_at="2099-01-01T00:00:00Z")

    response = book(client, make_user(client), event)

    assert response.status_code == 409
    assert response.json["code"] == "event-not-open"
    assert response.json["detail"] == "Booking opens at 2099-01-01T00:00:00Z."


def test_tickets_cannot_be_booked_after_booking_closes(client: FlaskClient) -> None:
    event = make_event(client, booking_closes_at="2020-01-01T00:00:00Z")

    assert book(client, make_user(client), event).json["detail"] == "Booking for this event has closed."


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"status": "cancelled"}, "The event is cancelled."),
        ({"starts_at": datetime.now(UTC) - timedelta(minutes=1)}, "The event has already started."),
    ],
    ids=["cancelled", "started"],
)
def test_a_cancelled_or_started_event_is_not_open(
    client: FlaskClient, database: sa.Engine, change: dict[str, Any], detail: str
) -> None:
    event, user = make_event(client), make_user(client)
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(change))

    response = book(client, user, event)

    assert (response.status_code, response.json["code"], response.json["detail"]) == (409, "event-not-open", detail)


def test_a_draft_is_not_found_by_others_and_not_open_for_its_owner(client: FlaskClient) -> None:
    organizer = make_organizer(client)
    draft = make_event(client, organizer, status="draft")

    assert book(client, make_user(client), draft).json["code"] == "event-not-found"
    assert book(client, organizer, draft).json["code"] == "event-not-open"


def test_an_unknown_event_cannot_be_booked(client: FlaskClient) -> None:
    response = book(client, make_user(client), {"id": "01900000-0000-7000-8000-000000000000"})

    assert (response.status_code, response.json["code"]) == (404, "event-not-found")


@pytest.mark.parametrize("count", [0, -1, 1001, 2**31, 10**400, 1.5, "2", "1_000", True, None, [1]])
def test_an_invalid_ticket_count_is_reported(client: FlaskClient, count: Any) -> None:
    response = book(client, make_user(client), make_event(client), ticket_count=count)

    assert response.status_code == 422
    assert [error["field"] for error in response.json["errors"]] == ["ticket_count"]


@pytest.mark.parametrize("field", ["user_id", "status", "reference", "tickets_booked"])
def test_fields_set_by_the_server_are_refused(client: FlaskClient, field: str) -> None:
    response = book(client, make_user(client), make_event(client), **{field: "x"})

    assert response.status_code == 422
    assert response.json["errors"] == [{"in": "body", "field": field, "detail": "Unknown field."}]


def test_booking_requires_a_login(client: FlaskClient) -> None:
    response = client.post(f"{API}/bookings/", json={"event_id": make_event(client)["id"]})

    assert (response.status_code, response.json["code"]) == (401, "unauthenticated")


def test_the_list_contains_only_own_bookings_newest_first(client: FlaskClient) -> None:
    user, event = make_user(client), make_event(client)
    references = [book(client, user, event).json["reference"] for _ in range(3)]
    book(client, make_user(client), event)

    listed = client.get(f"{API}/bookings/", headers=user.headers).json

    assert [booking["reference"] for booking in listed] == references[::-1]


def test_a_booking_is_visible_only_to_its_user_and_the_events_organizer(client: FlaskClient) -> None:
    organizer, user = make_organizer(client), make_user(client)
    booking = book(client, user, make_event(client, organizer)).json
    url = f"{API}/bookings/{booking['id']}"

    assert client.get(url, headers=user.headers).json == booking
    assert client.get(url, headers=organizer.headers).json == booking
    for stranger in (make_user(client), make_organizer(client)):
        response = client.get(url, headers=stranger.headers)
        assert (response.status_code, response.json["code"]) == (404, "booking-not-found")
