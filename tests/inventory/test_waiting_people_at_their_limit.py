"""Waiting people who have as many tickets as a person can have, on lists with the policy `strict`."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import (
    API,
    Account,
    Key,
    book,
    book_for_guest,
    items,
    make_event,
    make_key,
    make_ticket_type,
    make_user,
    new_email,
    ticket_types_of,
)
from tests.inventory.conftest import Event, confirm, get, let_holds_expire

pytestmark = pytest.mark.usefixtures("audited")


def _book_all_and_cancel(client: FlaskClient, organizer: Account, buyers: list[Account | Key], **guest: str) -> str:
    """Sell four tickets, let a person wait twice for two tickets, and release three. Returns the ID of the event.

    A person can have three tickets, so the second party keeps waiting.
    """
    limits = {"max_tickets_per_person": 3, "waitlist": "on", "waitlist_policy": "strict"}
    event = make_event(client, organizer, capacity=4, **limits)
    first, person = buyers
    sold = book(client, first, event, ticket_count=3).json
    waiting = [book(client, person, event, ticket_count=2, waitlist=True, **guest).json for _ in range(2)]
    client.delete(f"{API}/bookings/{sold['id']}", headers=first.headers)
    statuses = [client.get(f"{API}/bookings/{one['id']}", headers=person.headers).json["status"] for one in waiting]
    assert statuses == ["confirmed", "waitlisted"]
    return str(event["id"])


def test_people_who_have_all_their_tickets_let_others_pass(
    client: FlaskClient, organizer: Account, user: Account
) -> None:
    event_id = _book_all_and_cancel(client, organizer, [user, make_user(client)])

    booked = book(client, user, {"id": event_id}, ticket_count=2)

    assert (booked.status_code, booked.json["status"]) == (201, "confirmed")


def test_guests_of_api_keys_who_have_all_their_tickets_let_others_pass(
    client: FlaskClient, organizer: Account, user: Account
) -> None:
    guest, key = new_email(), make_key(client, organizer)
    event_id = _book_all_and_cancel(client, organizer, [user, key], guest_name="Grace", guest_email=guest)

    refused = book_for_guest(client, key, {"id": event_id}, guest_email=guest, ticket_count=2)
    booked = book_for_guest(client, key, {"id": event_id}, ticket_count=2)

    assert (refused.status_code, refused.json["code"]) == (409, "too-many-for-person")
    assert (booked.status_code, booked.json["status"]) == (201, "confirmed")


def test_a_party_with_a_claim_makes_others_wait(client: FlaskClient, organizer: Account, user: Account) -> None:
    event = make_event(client, organizer, capacity=4, waitlist="on", waitlist_policy="strict", max_tickets_per_person=3)
    book(client, make_user(client), event, ticket_count=3)
    book(client, make_user(client), event, ticket_count=3, waitlist=True)

    refused = book(client, user, event)

    assert (refused.status_code, refused.json["code"]) == (409, "waiting-list")


@pytest.fixture
def event(client: FlaskClient, organizer: Account) -> Event:
    """An event with a front row of three tickets, of which two are booked."""
    made = make_event(client, organizer, waitlist="on", waitlist_policy="strict", max_tickets_per_person=3)
    front = make_ticket_type(client, organizer, made, capacity=3)
    assert book(client, make_user(client), made, items=items((front, 2))).status_code == 201
    return made


@pytest.mark.parametrize("case", ["order", "late confirmation"])
def test_people_who_reach_their_limit_while_they_wait_let_others_pass_at_once(
    client: FlaskClient, organizer: Account, user: Account, event: Event, database: sa.Engine, case: str
) -> None:
    is_late = case == "late confirmation"
    general, front = ticket_types_of(client, event)
    if is_late:
        held = book(client, user, event, items=items((general, 2)), hold_minutes=5).json
        let_holds_expire(database)
    first = book(client, user, event, items=items((front, 2)), waitlist=True).json
    other = make_user(client)
    second = book(client, other, event, items=items((front, 1)), waitlist=True).json
    assert [first["status"], second["status"]] == ["waitlisted", "waitlisted"]

    taken = confirm(client, user, held) if is_late else book(client, user, event, items=items((general, 2)))

    assert taken.json["status"] == "confirmed"
    assert get(client, user, first)["status"] == "waitlisted"
    assert get(client, other, second)["status"] == "confirmed"
