"""Changing the tickets of a booking."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import TicketType
from tests.factories import API, Account, book, items, make_user, types_path
from tests.ticket_types.conftest import AddType, change_booking, counts_in, tickets_left

pytestmark = pytest.mark.usefixtures("audited")


def test_a_booking_can_exchange_tickets_of_one_type_for_another(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front = add_type("Front row", capacity=4)
    booked = book(client, user, event, items=items((general, 5)))
    book(client, make_user(client), event, items=items((general, 5)))  # the event is sold out

    changed = change_booking(client, user, booked, items=items((general, 2), (front, 3)))
    refused = change_booking(client, user, booked, items=items((general, 2), (front, 4)))
    repeated = change_booking(client, user, booked, items=items((front, 3), (general, 2)))

    assert (changed.status_code, changed.json["version"], changed.json["ticket_count"]) == (200, 2, 5)
    assert counts_in(changed) == {"General admission": 2, "Front row": 3}
    assert (refused.status_code, refused.json["code"]) == (409, "sold-out")
    assert refused.json["tickets_available"] == 0
    assert (repeated.status_code, repeated.json["version"]) == (200, 2)
    assert tickets_left(client, event) == (0, 0, 0)


def test_a_booking_with_several_types_is_changed_by_its_items(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front = add_type("Front row")
    booked = book(client, user, event, items=items((general, 1), (front, 1)))

    refused = change_booking(client, user, booked, ticket_count=3)
    same = change_booking(client, user, booked, ticket_count=2)

    assert refused.status_code == 422
    assert refused.json["errors"][0]["field"] == "ticket_count"
    assert same.status_code == 200


def test_tickets_of_a_closed_type_can_be_returned_but_not_added(
    client: FlaskClient, user: Account, organizer: Account, event: dict[str, Any], database: sa.Engine
) -> None:
    booked = book(client, user, event, ticket_count=3)
    with database.begin() as connection:
        connection.execute(sa.update(TicketType).values(sales_close_at=datetime.now(UTC) - timedelta(seconds=1)))

    more = change_booking(client, user, booked, ticket_count=4)
    fewer = change_booking(client, user, booked, ticket_count=2)
    by_organizer = change_booking(client, organizer, booked, ticket_count=4)

    assert (more.status_code, more.json["code"]) == (409, "sales-closed")
    assert (fewer.status_code, by_organizer.status_code) == (200, 200)
    assert tickets_left(client, event) == (6, 6)


def test_lowered_limits_do_not_apply_to_tickets_that_are_already_booked(
    client: FlaskClient, user: Account, organizer: Account, event: dict[str, Any], add_type: AddType, general: Any
) -> None:
    front = add_type("Front row")
    booked = book(client, user, event, items=items((general, 5)))
    path = f"{types_path(event)}/{general['id']}"
    assert client.patch(path, headers=organizer.headers, json={"max_per_booking": 3}).status_code == 200

    more = change_booking(client, user, booked, items=items((general, 5), (front, 1)))
    fewer = change_booking(client, user, booked, items=items((general, 4), (front, 1)))
    refused = change_booking(client, user, booked, items=items((general, 5), (front, 1)))

    assert (more.status_code, fewer.status_code) == (200, 200)
    assert (refused.status_code, refused.json["code"]) == (422, "too-many-tickets")


def test_an_exchange_in_a_sold_out_event_names_what_can_be_exchanged(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front = add_type("Front row")
    booked = book(client, user, event, items=items((general, 3)))
    book(client, make_user(client), event, items=items((general, 7)))

    refused = change_booking(client, user, booked, items=items((general, 1), (front, 3)))

    assert (refused.status_code, refused.json["code"], refused.json["tickets_available"]) == (409, "sold-out", 2)


def test_the_response_to_a_change_is_what_was_locked(
    client: FlaskClient, user: Account, event: dict[str, Any], add_type: AddType, general: dict[str, Any]
) -> None:
    front = add_type("Front row")
    booked = book(client, user, event, items=items((general, 1)))

    changed = change_booking(client, user, booked, items=items((front, 2)), guest_name="Grace")

    read = client.get(f"{API}/bookings/{booked.json['id']}", headers=user.headers)
    assert changed.json == read.json
    assert changed.headers["ETag"] == read.headers["ETag"]


def test_the_etag_of_a_booking_changes_when_a_type_is_renamed(
    client: FlaskClient, user: Account, organizer: Account, event: dict[str, Any], general: dict[str, Any]
) -> None:
    booked = book(client, user, event)
    path = f"{API}/bookings/{booked.json['id']}"
    client.patch(f"{types_path(event)}/{general['id']}", headers=organizer.headers, json={"name": "Standing"})

    read = client.get(path, headers={**user.headers, "If-None-Match": booked.headers["ETag"]})

    assert (read.status_code, counts_in(read)) == (200, {"Standing": 1})
    changed = client.patch(path, headers={**user.headers, "If-Match": booked.headers["ETag"]}, json={"ticket_count": 2})
    assert changed.status_code == 200
