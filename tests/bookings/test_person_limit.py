"""The maximum number of tickets per person."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.bookings.locking import _FACTS_OF_KEY
from tests.factories import API, Account, Key, book, book_for_guest, make_event, make_key, make_organizer, make_user

pytestmark = pytest.mark.usefixtures("audited")


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> dict[str, Any]:
    """An event that allows four tickets per person."""
    return make_event(client, organizer, capacity=50, max_tickets_per_person=4)


@pytest.fixture
def key(client: FlaskClient, organizer: Account) -> Key:
    return make_key(client, organizer)


def _change(client: FlaskClient, sender: Account | Key, booking: Any, **changes: Any) -> Any:
    return client.patch(f"{API}/bookings/{booking.json['id']}", headers=sender.headers, json=changes)


def test_an_account_gets_no_more_tickets_than_a_person_can_have(
    client: FlaskClient, user: Account, event: dict[str, Any]
) -> None:
    first = book(client, user, event, ticket_count=3)
    refused = book(client, user, event, ticket_count=2, guest_name="Grace", guest_email="grace@example.com")
    second = book(client, user, event, ticket_count=1)

    assert (first.status_code, second.status_code) == (201, 201)
    assert (refused.status_code, refused.json["code"]) == (409, "too-many-for-person")
    assert refused.json["detail"] == "A person can have at most 4 tickets for this event. 3 are already booked or held."
    assert (refused.json["max_tickets_per_person"], refused.json["tickets_booked"]) == (4, 3)
    assert book(client, make_user(client), event, ticket_count=4).status_code == 201


def test_cancelled_bookings_and_other_events_do_not_count(
    client: FlaskClient, user: Account, organizer: Account, event: dict[str, Any]
) -> None:
    cancelled = book(client, user, event, ticket_count=4)
    client.delete(f"{API}/bookings/{cancelled.json['id']}", headers=user.headers)
    book(client, user, make_event(client, organizer), ticket_count=4)

    assert book(client, user, event, ticket_count=4).status_code == 201


def test_a_booking_cannot_grow_beyond_the_limit(
    client: FlaskClient, user: Account, organizer: Account, event: dict[str, Any]
) -> None:
    booked = book(client, user, event, ticket_count=2)
    book(client, user, event, ticket_count=1)

    for sender in (user, organizer):
        refused = _change(client, sender, booked, ticket_count=4)
        assert (refused.status_code, refused.json["code"], refused.json["tickets_booked"]) == (
            409,
            "too-many-for-person",
            3,
        )
    assert _change(client, user, booked, ticket_count=3).status_code == 200


def test_bookings_that_exceed_a_new_limit_stay_but_cannot_grow(
    client: FlaskClient, user: Account, organizer: Account, event: dict[str, Any]
) -> None:
    booked = book(client, user, event, ticket_count=4)
    lowered = client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"max_tickets_per_person": 2})

    assert (lowered.status_code, lowered.json and lowered.json["max_tickets_per_person"]) == (200, 2)
    assert _change(client, user, booked, ticket_count=3).status_code == 200
    assert _change(client, user, booked, guest_name="Grace").status_code == 200
    assert _change(client, user, booked, ticket_count=4).status_code == 409


def test_with_an_api_key_the_limit_applies_to_each_mailbox(
    client: FlaskClient, key: Key, event: dict[str, Any]
) -> None:
    def book_for(address: str, count: int) -> Any:
        return book_for_guest(client, key, event, guest_email=address, ticket_count=count)

    assert book_for("grace@example.com", 3).status_code == 201
    for address in ("grace@example.com", "Grace@Example.com", "grace+friends@example.com"):
        refused = book_for(address, 2)
        assert (refused.status_code, refused.json["code"]) == (409, "too-many-for-person"), address
    assert book_for("ada@example.com", 4).status_code == 201
    for address in ("+ada@example.com", "+grace@example.com"):  # nothing before the plus sign
        assert book_for(address, 3).status_code == 201, address


def test_a_new_guest_of_a_booking_made_with_a_key_counts_as_a_new_person(
    client: FlaskClient, key: Key, user: Account, event: dict[str, Any]
) -> None:
    book_for_guest(client, key, event, guest_email="grace@example.com", ticket_count=3)
    other = book_for_guest(client, key, event, guest_email="ada@example.com", ticket_count=2)
    own = book(client, user, event, ticket_count=2)

    refused = _change(client, key, other, guest_email="grace@example.com")

    assert (refused.status_code, refused.json["code"], refused.json["tickets_booked"]) == (
        409,
        "too-many-for-person",
        3,
    )
    assert _change(client, key, other, guest_email="grete@example.com").status_code == 200
    # a booking of an account counts for the account, whoever the guest is
    assert _change(client, user, own, guest_email="grace@example.com").status_code == 200


def test_another_address_of_the_same_mailbox_is_not_another_person(
    client: FlaskClient, organizer: Account, key: Key, event: dict[str, Any]
) -> None:
    booked = book_for_guest(client, key, event, guest_email="grace@example.com", ticket_count=4)
    client.patch(f"{API}/events/{event['id']}", headers=organizer.headers, json={"max_tickets_per_person": 2})

    assert _change(client, key, booked, guest_email="Grace+tickets@example.com").status_code == 200


def test_the_bookings_of_a_mailbox_are_found_through_an_index(database: sa.Engine) -> None:
    statement = _FACTS_OF_KEY.prepare.replace("%%", "%")
    arguments = ", ".join(["NULL"] * max(map(int, re.findall(r"\$(\d+)", statement))))
    with database.connect() as connection:
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off")
        # in small tables, these indexes are as good
        connection.exec_driver_sql("DROP INDEX ix_bookings_event_id_id, ix_bookings_event_id_reminded_for")
        connection.exec_driver_sql(statement)
        plan = connection.exec_driver_sql(f"EXPLAIN EXECUTE facts_of_order_with_key ({arguments})").scalars()

        assert re.search(r"ix_bookings_event_id_mailbox.*\n.*Index Cond: .*regexp_replace", "\n".join(plan))
        connection.exec_driver_sql("DEALLOCATE facts_of_order_with_key")
        connection.rollback()


@pytest.mark.parametrize("limit", [0, -1, 1_000_001, "4", 1.5], ids=str)
def test_an_invalid_limit_is_refused(client: FlaskClient, limit: Any) -> None:
    organizer = make_organizer(client)
    event = make_event(client, organizer)

    refused = client.patch(
        f"{API}/events/{event['id']}", headers=organizer.headers, json={"max_tickets_per_person": limit}
    )

    assert refused.status_code == 422
    assert refused.json is not None
    assert [error["field"] for error in refused.json["errors"]] == ["max_tickets_per_person"]
