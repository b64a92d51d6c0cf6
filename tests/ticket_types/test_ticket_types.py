"""Managing the ticket types of an event."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.models import TicketType
from bookings_api.models.ticket_type import MAX_TYPES_PER_EVENT
from tests.factories import (
    API,
    Account,
    book,
    items,
    make_event,
    make_ticket_type,
    make_user,
    ticket_types_of,
    types_path,
)
from tests.ticket_types.conftest import AddType


def _change(client: FlaskClient, organizer: Account, ticket_type: dict[str, Any], **changes: Any) -> Any:
    path = f"{types_path({'id': ticket_type['event_id']})}/{ticket_type['id']}"
    return client.patch(path, headers=organizer.headers, json=changes)


def _delete(client: FlaskClient, organizer: Account, ticket_type: dict[str, Any]) -> Any:
    path = f"{types_path({'id': ticket_type['event_id']})}/{ticket_type['id']}"
    return client.delete(path, headers=organizer.headers)


def test_a_new_event_sells_general_admission(client: FlaskClient, event: dict[str, Any]) -> None:
    [only] = ticket_types_of(client, event)

    assert (only["name"], only["capacity"], only["tickets_available"]) == ("General admission", None, 10)


def test_types_are_listed_by_position_and_new_ones_come_last(
    client: FlaskClient, event: dict[str, Any], add_type: AddType
) -> None:
    add_type("Balcony")
    add_type("Front row", position=0)

    # types with the same position are sorted by age
    assert [one["name"] for one in ticket_types_of(client, event)] == ["General admission", "Front row", "Balcony"]


def test_a_type_has_at_most_as_many_tickets_as_are_left_for_the_event(
    client: FlaskClient, event: dict[str, Any], add_type: AddType
) -> None:
    front = add_type("Front row", capacity=4)
    [general, _] = ticket_types_of(client, event)

    book(client, make_user(client), event, items=items((general, 8)))

    [general, front] = ticket_types_of(client, event)
    assert (general["tickets_available"], front["tickets_available"]) == (2, 2)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"capacity": 11}, "capacity", "Must be at most 10, the capacity of the event."),
        (
            {"sales_open_at": "2099-01-02T00:00:00Z", "sales_close_at": "2099-01-01T00:00:00Z"},
            "sales_close_at",
            "Must be later than sales_open_at.",
        ),
    ],
    ids=["more than the event", "closes before it opens"],
)
def test_fields_that_contradict_each_other_are_refused(
    client: FlaskClient,
    organizer: Account,
    event: dict[str, Any],
    fields: dict[str, Any],
    field: str,
    message: str,
) -> None:
    created = client.post(types_path(event), headers=organizer.headers, json={"name": "Front row", **fields})
    [general] = ticket_types_of(client, event)
    changed = _change(client, organizer, general, **fields)

    for response in (created, changed):
        assert response.status_code == 422
        assert [(error["field"], error["detail"]) for error in response.json["errors"]] == [(field, message)]
    assert [one["name"] for one in ticket_types_of(client, event)] == ["General admission"]


def test_an_event_keeps_the_capacity_of_its_largest_type(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    add_type("Front row", capacity=7)

    refused = client.patch(f"/api/v1/events/{event['id']}", headers=organizer.headers, json={"capacity": 6})
    accepted = client.patch(f"/api/v1/events/{event['id']}", headers=organizer.headers, json={"capacity": 7})

    assert refused.status_code == 422
    assert refused.json is not None
    assert refused.json["errors"][0]["detail"] == "Must be at least 7, the capacity of the ticket type Front row."
    assert accepted.status_code == 200


def test_the_capacity_of_a_type_cannot_be_below_its_booked_tickets(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    front = add_type("Front row", capacity=5)
    book(client, make_user(client), event, items=items((front, 3)))

    refused = _change(client, organizer, front, capacity=2)
    accepted = _change(client, organizer, front, capacity=3)

    assert (refused.status_code, refused.json["code"]) == (409, "capacity-below-booked")
    assert (accepted.status_code, accepted.json["tickets_available"]) == (200, 0)


@pytest.mark.usefixtures("audited")
def test_a_larger_type_promotes_waiting_parties(client: FlaskClient, organizer: Account, user: Account) -> None:
    event = make_event(client, organizer, waitlist="on")
    front = make_ticket_type(client, organizer, event, capacity=1)
    book(client, make_user(client), event, items=items((front, 1)))
    waiting = book(client, user, event, items=items((front, 1)), waitlist=True).json
    assert waiting["status"] == "waitlisted"

    changed = _change(client, organizer, front, capacity=2)

    assert (changed.status_code, changed.json["tickets_available"]) == (200, 0)
    promoted: Any = client.get(f"{API}/bookings/{waiting['id']}", headers=user.headers).json
    assert promoted["status"] == "confirmed"


def test_a_type_with_booked_tickets_cannot_be_deleted(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    front, user = add_type("Front row"), make_user(client)
    booking = book(client, user, event, items=items((front, 1))).json

    refused = _delete(client, organizer, front)
    client.delete(f"/api/v1/bookings/{booking['id']}", headers=user.headers)
    deleted = _delete(client, organizer, front)

    assert (refused.status_code, refused.json["code"]) == (409, "ticket-type-in-use")
    assert deleted.status_code == 204
    assert [one["name"] for one in ticket_types_of(client, event)] == ["General admission"]
    cancelled: Any = client.get(f"/api/v1/bookings/{booking['id']}", headers=user.headers).json
    assert [(item["name"], item["count"]) for item in cancelled["items"]] == [("Front row", 1)]
    assert _change(client, organizer, front, name="Second row").status_code == 404


def test_the_only_type_of_an_event_cannot_be_deleted(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    [general] = ticket_types_of(client, event)

    refused = _delete(client, organizer, general)

    assert (refused.status_code, refused.json["code"]) == (409, "ticket-type-in-use")


def test_hidden_types_are_shown_only_to_those_who_manage_the_event(
    client: FlaskClient, organizer: Account, user: Account, event: dict[str, Any], add_type: AddType
) -> None:
    hidden = add_type("Artists' guests", is_hidden=True)
    path = f"{types_path(event)}/{hidden['id']}"

    for headers in ({}, user.headers):
        assert [one["name"] for one in client.get(types_path(event), headers=headers).json or []] == [
            "General admission"
        ]
        assert client.get(path, headers=headers).status_code == 404
    assert len(client.get(types_path(event), headers=organizer.headers).json or []) == 2
    assert client.get(path, headers=organizer.headers).status_code == 200


def test_types_of_a_cancelled_event_no_longer_change(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    front = add_type("Front row")
    client.post(f"/api/v1/events/{event['id']}/cancel", headers=organizer.headers)

    created = client.post(types_path(event), headers=organizer.headers, json={"name": "Balcony"})
    responses = [created, _change(client, organizer, front, name="Balcony"), _delete(client, organizer, front)]

    assert [(response.status_code, response.json["code"]) for response in responses] == [(409, "event-cancelled")] * 3


def test_a_type_belongs_to_its_event(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    front, other = add_type("Front row"), make_event(client, organizer)

    assert client.get(f"{types_path(other)}/{front['id']}").status_code == 404
    assert _change(client, organizer, {**front, "event_id": other["id"]}, name="Balcony").status_code == 404
    assert _delete(client, organizer, {**front, "event_id": other["id"]}).status_code == 404


def test_an_event_can_have_only_so_many_types(
    client: FlaskClient, organizer: Account, event: dict[str, Any], database: sa.Engine
) -> None:
    with database.begin() as connection:
        for number in range(1, MAX_TYPES_PER_EVENT):
            connection.execute(
                sa.insert(TicketType).values(
                    id=sa.func.gen_random_uuid(), event_id=event["id"], name=f"Row {number}", position=number
                )
            )

    refused = client.post(types_path(event), headers=organizer.headers, json={"name": "One too many"})

    assert refused.status_code == 422
    assert refused.json is not None
    assert "at most 50 ticket types" in refused.json["errors"][0]["detail"]


def test_the_etag_changes_when_tickets_are_booked(
    client: FlaskClient, organizer: Account, user: Account, event: dict[str, Any]
) -> None:
    front = make_ticket_type(client, organizer, event)
    path = f"{types_path(event)}/{front['id']}"
    before = client.get(path).headers["ETag"]
    book(client, user, event, items=items((front, 1)))

    read = client.get(path, headers={"If-None-Match": before})

    assert (read.status_code, read.json and read.json["tickets_available"]) == (200, 9)
    assert client.patch(path, headers={**organizer.headers, "If-Match": before}, json={}).status_code == 200


def test_a_change_with_inconsistent_times_and_a_new_capacity_is_refused(
    client: FlaskClient, organizer: Account, event: dict[str, Any]
) -> None:
    changes = {"capacity": 20, "ends_at": "2099-01-01T00:00:00Z"}

    refused = client.patch(f"/api/v1/events/{event['id']}", headers=organizer.headers, json=changes)

    assert refused.status_code == 422
    assert refused.json is not None
    assert [error["field"] for error in refused.json["errors"]] == ["ends_at"]


@pytest.mark.usefixtures("audited")
def test_a_repeated_request_creates_one_type(client: FlaskClient, organizer: Account, event: dict[str, Any]) -> None:
    headers = {**organizer.headers, "Idempotency-Key": "a-type"}
    first, again = (client.post(types_path(event), headers=headers, json={"name": "Balcony"}) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert first.headers["Location"] == again.headers["Location"]
    assert [one["name"] for one in ticket_types_of(client, event)] == ["General admission", "Balcony"]


def test_cursors_neither_skip_nor_repeat_a_type_whose_position_changes(
    client: FlaskClient, organizer: Account, event: dict[str, Any], add_type: AddType
) -> None:
    names = ["General admission", *(add_type(f"Row {number}")["name"] for number in range(4))]
    first, *_, last = ticket_types_of(client, event)
    seen, link = [], f"{types_path(event)}?page_size=1&after="

    while link:
        page = client.get(link)
        seen += [one["name"] for one in page.json or []]
        if len(seen) == 2:
            _change(client, organizer, first, position=900)
            _change(client, organizer, last, position=0)
        link = page.headers.get("Link", "").partition(">")[0].lstrip("<")

    assert seen == names
