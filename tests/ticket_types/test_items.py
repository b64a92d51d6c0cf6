"""Booking tickets of several types."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bookings_api.extensions import db
from bookings_api.mail import messages
from bookings_api.models import OutboxEmail, TicketType
from tests.factories import (
    API,
    Account,
    book,
    book_for_guest,
    items,
    make_key,
    make_owner,
)
from tests.ticket_types.conftest import AddType, change_booking, counts_in, tickets_left

pytestmark = pytest.mark.usefixtures("audited")


def test_a_count_alone_is_enough_while_one_type_is_on_sale(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType
) -> None:
    add_type("Members only", is_hidden=True)
    add_type("Early bird", sales_close_at="2020-01-01T00:00:00Z")

    booked = book(client, user, event, ticket_count=2)

    assert booked.status_code == 201
    assert counts_in(booked) == {"General admission": 2}


def test_a_count_alone_is_refused_while_several_types_are_on_sale(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType
) -> None:
    add_type("Front row")

    refused = book(client, user, event, ticket_count=2)

    assert refused.status_code == 422
    assert [(error["field"], error["detail"]) for error in refused.json["errors"]] == [
        ("items", "Required, because several ticket types are on sale.")
    ]


def test_a_booking_can_have_tickets_of_several_types(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front = add_type("Front row", capacity=4)

    booked = book(client, user, event, items=items((front, 3), (general, 2)))

    assert (booked.status_code, booked.json["ticket_count"]) == (201, 5)
    read = client.get(f"{API}/bookings/{booked.json['id']}", headers=user.headers)
    listed: Any = client.get(f"{API}/bookings/", headers=user.headers)
    assert counts_in(booked) == {"Front row": 3, "General admission": 2}
    assert read.json == booked.json == listed.json[0]
    assert [item["name"] for item in booked.json["items"]] == ["General admission", "Front row"]
    assert tickets_left(client, event) == (5, 5, 1)


def test_sold_out_names_the_type_and_what_is_left_of_it(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front = add_type("Front row", capacity=4)
    book(client, user, event, items=items((front, 3)))

    refused = book(client, user, event, items=items((general, 1), (front, 2)))

    assert (refused.status_code, refused.json["code"]) == (409, "sold-out")
    assert refused.json["detail"] == "Only 1 ticket is left of Front row."
    assert (refused.json["ticket_type_id"], refused.json["tickets_available"]) == (front["id"], 1)
    assert tickets_left(client, event) == (7, 7, 1)


def test_the_types_together_cannot_exceed_the_event(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front = add_type("Front row", capacity=8)
    book(client, user, event, items=items((front, 7)))

    refused = book(client, user, event, items=items((general, 3), (front, 1)))

    assert (refused.status_code, refused.json["code"], refused.json["tickets_available"]) == (409, "sold-out", 3)


@pytest.mark.parametrize(
    ("window", "detail"),
    [
        (
            {"sales_open_at": "2099-01-01T00:00:00Z"},
            "Sales of Front row open at 2099-01-01T00:00:00Z.",
        ),
        ({"sales_close_at": "2020-01-01T00:00:00Z"}, "Sales of Front row have closed."),
    ],
    ids=["not yet", "no longer"],
)
def test_a_type_is_sold_only_in_its_window(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, window: Any, detail: str
) -> None:
    front = add_type("Front row", **window)

    refused = book(client, user, event, items=items((front, 1)))

    assert (refused.status_code, refused.json["code"], refused.json["detail"]) == (409, "sales-closed", detail)


def test_nothing_is_on_sale_between_the_windows(
    client: FlaskClient, user: Account, event: dict[str, Any], database: sa.Engine
) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(TicketType).values(sales_close_at=datetime.now(UTC) - timedelta(seconds=1)))

    refused = book(client, user, event)

    assert (refused.status_code, refused.json["code"]) == (409, "sales-closed")


def test_a_type_can_limit_the_tickets_per_booking(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType
) -> None:
    front = add_type("Front row", max_per_booking=2)

    refused = book(client, user, event, items=items((front, 3)))
    booked = book(client, user, event, items=items((front, 2)))

    assert (refused.status_code, refused.json["code"]) == (422, "too-many-tickets")
    assert refused.json["detail"] == "A booking can have at most 2 tickets of Front row."
    for change, field in (({"ticket_count": 3}, "ticket_count"), ({"items": items((front, 3))}, "items")):
        response = change_booking(client, user, booked, **change)
        assert (response.status_code, response.json["errors"][0]["field"]) == (422, field)


def test_only_those_who_manage_bookings_can_book_a_hidden_type(
    client: FlaskClient, user: Account, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    hidden = add_type("Artists' guests", is_hidden=True)
    key = make_key(client, make_owner(client))

    refused = book(client, user, event, items=items((hidden, 1)))

    assert refused.status_code == 422
    assert refused.json["errors"][0]["detail"] == f"The event has no ticket type {hidden['id']}."
    assert book(client, organizer, event, items=items((hidden, 1))).status_code == 201
    assert book_for_guest(client, key, event, items=items((hidden, 1))).status_code == 201


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [{"ticket_type_id": "01890000-0000-7000-8000-000000000001", "count": 0}]}, "items.0.count"),
        ({"items": [{"count": 1}]}, "items.0.ticket_type_id"),
        ({"items": [{"ticket_type_id": "01890000-0000-7000-8000-000000000001", "count": 1}]}, "items"),
        ({"items": [{"ticket_type_id": "01890000-0000-7000-8000-000000000001", "count": 1}] * 2}, "items"),
        (
            {"items": [{"ticket_type_id": "01890000-0000-7000-8000-000000000001", "count": 1}], "ticket_count": 1},
            "ticket_count",
        ),
    ],
    ids=["empty", "no tickets", "no type", "unknown type", "twice", "with a count"],
)
def test_invalid_items_are_refused_by_name(
    client: FlaskClient, user: Account, event: dict[str, Any], order: dict[str, Any], field: str
) -> None:
    refused = book(client, user, event, **order)

    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == [field]


def test_cancelling_releases_the_tickets_of_each_type(
    client: FlaskClient,
    user: Account,
    organizer: Account,
    event: dict[str, Any],
    add_type: AddType,
    general: dict[str, Any],
) -> None:
    front = add_type("Front row", capacity=4)
    orders = [book(client, user, event, items=items((general, 1), (front, 2))) for _ in range(2)]

    client.delete(f"{API}/bookings/{orders[0].json['id']}", headers=user.headers)
    assert tickets_left(client, event) == (7, 7, 2)
    client.post(f"{API}/events/{event['id']}/cancel", headers=organizer.headers)
    assert tickets_left(client, event) == (10, 10, 4)


def test_a_repeated_order_with_items_returns_the_same_booking(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front, key = add_type("Front row"), make_key(client, make_owner(client))
    order = {"external_id": "order-1", "guest_email": "grace@example.com", "guest_name": "Grace"}

    first = book_for_guest(client, key, event, items=items((general, 1), (front, 1)), **order)
    again = book_for_guest(client, key, event, items=items((front, 1), (general, 1)), **order)
    other = book_for_guest(client, key, event, items=items((general, 1), (front, 2)), **order)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["id"] == first.json["id"]
    assert counts_in(again) == counts_in(first)
    assert (other.status_code, other.json["code"]) == (409, "external-id-taken")


def test_emails_and_calendars_name_the_tickets_of_each_type(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any], app: Flask
) -> None:
    front = add_type("Front row")
    booked = book(client, user, event, items=items((general, 2), (front, 1)))

    calendar = client.get(f"{API}/bookings/{booked.json['id']}/calendar.ics", headers=user.headers).text
    with app.app_context():
        email = db.session.scalars(sa.select(OutboxEmail).where(OutboxEmail.recipient == user.email)).all()[-1]
        message = messages.render(email.kind, email.payload)

    tickets = "2 General admission, 1 Front row"
    assert f"Tickets:    {tickets}" in message.text
    assert tickets in message.html
    assert tickets.replace(",", "\\,") in calendar.replace("\r\n ", "")
