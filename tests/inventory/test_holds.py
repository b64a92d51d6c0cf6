"""Bookings that hold their tickets until they are confirmed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, Key, book, book_for_guest, make_event, make_user
from tests.inventory.conftest import (
    Event,
    cancel,
    change,
    code_of,
    confirm,
    emails_about,
    extend,
    get,
    join,
    let_holds_expire,
    statuses,
)
from tests.payments import make_priced_event, set_price

pytestmark = pytest.mark.usefixtures("audited")


def _counts(client: FlaskClient, event: Event) -> tuple[int, int, int]:
    found = client.get(f"{API}/events/{event['id']}").json
    return found["tickets_booked"], found["tickets_held"], found["tickets_available"]


def _minutes_between(before: str, after: str) -> float:
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)) / timedelta(minutes=1)


def test_priced_tickets_are_held_for_35_minutes_without_an_email(
    client: FlaskClient, user: Account, priced: Event, database: sa.Engine
) -> None:
    held = book(client, user, priced, ticket_count=2)

    assert held.status_code == 201
    assert (held.json["status"], held.json["amount_due"], held.json["currency"]) == ("held", 3600, "EUR")
    assert [item["price"] for item in held.json["items"]] == [1800]
    assert _minutes_between(held.json["created_at"], held.json["held_until"]) == 35
    assert _counts(client, priced) == (0, 2, 3)
    assert emails_about(database, held.json) == []


def test_free_tickets_are_held_only_on_request_and_their_buyer_confirms_them(
    client: FlaskClient, user: Account, database: sa.Engine
) -> None:
    event = make_event(client)
    held = book(client, user, event, hold_minutes=10).json
    assert held["status"] == "held"

    confirmed = confirm(client, user, held)

    assert (confirmed.status_code, confirmed.json["status"]) == (200, "confirmed")
    assert emails_about(database, held) == ["booking_confirmed"]
    assert confirm(client, user, held).json == confirmed.json
    assert _counts(client, event) == (1, 0, 9)


def test_priced_tickets_are_held_and_offered_for_the_minutes_that_the_event_sets(
    client: FlaskClient, user: Account, organizer: Account
) -> None:
    event = make_priced_event(client, organizer, capacity=1, hold_minutes=20, waitlist="on")
    held = book(client, user, event).json
    party = book(client, user, event, waitlist=True).json
    cancelled = cancel(client, user, held).json

    offered = get(client, user, party)

    assert _minutes_between(held["created_at"], held["held_until"]) == 20
    assert offered["status"] == "held"
    assert _minutes_between(cancelled["cancelled_at"], offered["held_until"]) == 20


def test_buyers_cannot_hold_tickets_longer_than_the_event_allows(
    client: FlaskClient, user: Account, organizer: Account, key: Key
) -> None:
    event = make_event(client, organizer, hold_minutes=20)

    refused = book(client, user, event, hold_minutes=21)

    assert code_of(refused) == (422, "invalid-input")
    assert [error["field"] for error in refused.json["errors"]] == ["hold_minutes"]
    assert book(client, user, event, hold_minutes=20).status_code == 201
    assert book_for_guest(client, key, event, hold_minutes=1440).status_code == 201


def test_held_tickets_cannot_be_booked_by_others(client: FlaskClient, user: Account, priced: Event) -> None:
    book(client, user, priced, ticket_count=4)

    refused = book(client, make_user(client), priced, ticket_count=2)

    assert code_of(refused) == (409, "sold-out")
    assert refused.json["tickets_available"] == 1


def test_expired_holds_are_ended_before_a_buyer_is_refused(
    client: FlaskClient, user: Account, priced: Event, database: sa.Engine
) -> None:
    holds = [book(client, user, priced).json for _ in range(5)]
    assert code_of(book(client, user, priced)) == (409, "sold-out")
    let_holds_expire(database)

    taken = book(client, make_user(client), priced, ticket_count=5)

    assert taken.status_code == 201
    assert {get(client, user, hold)["status"] for hold in holds} == {"expired"}
    assert _counts(client, priced) == (0, 5, 0)
    assert [emails_about(database, hold) for hold in holds] == [[]] * 5


def test_the_sweep_ends_expired_holds(
    client: FlaskClient, user: Account, priced: Event, database: sa.Engine, run_sweep: Callable[[], None]
) -> None:
    book(client, user, priced, ticket_count=2)
    other = book(client, user, priced).json
    let_holds_expire(database)
    kept = book(client, user, priced, ticket_count=2).json

    run_sweep()
    run_sweep()

    assert _counts(client, priced) == (0, 2, 3)
    assert (get(client, user, other)["status"], get(client, user, kept)["status"]) == ("expired", "held")


def test_a_hold_can_be_extended_once_by_its_duration(client: FlaskClient, user: Account, priced: Event) -> None:
    held = book(client, user, priced).json

    extended = extend(client, user, held)

    assert extended.status_code == 200
    assert _minutes_between(held["held_until"], extended.json["held_until"]) == 35
    assert code_of(extend(client, user, held)) == (409, "already-extended")


def test_only_holds_can_be_extended(
    client: FlaskClient, user: Account, organizer: Account, database: sa.Engine
) -> None:
    event = make_event(client, organizer)
    confirmed = book(client, user, event).json
    cancelled = book(client, user, event, hold_minutes=5).json
    cancel(client, user, cancelled)
    expired = book(client, user, event, hold_minutes=5).json
    let_holds_expire(database)

    assert code_of(extend(client, user, confirmed)) == (409, "booking-not-held")
    assert code_of(extend(client, user, cancelled)) == (409, "booking-cancelled")
    assert code_of(extend(client, user, expired)) == (409, "hold-expired")


def test_cancelling_a_hold_releases_its_tickets_without_an_email(
    client: FlaskClient, user: Account, priced: Event, database: sa.Engine
) -> None:
    held = book(client, user, priced, ticket_count=5).json

    assert cancel(client, user, held).json["status"] == "cancelled"

    assert _counts(client, priced) == (0, 0, 5)
    assert emails_about(database, held) == []


def test_changing_a_hold_changes_the_amount_due(
    client: FlaskClient, user: Account, organizer: Account, priced: Event
) -> None:
    held = book(client, user, priced, ticket_count=3).json
    set_price(client, organizer, priced, 2000)
    path = f"{API}/bookings/{held['id']}"

    fewer = client.patch(path, headers=user.headers, json={"ticket_count": 2}).json
    more = client.patch(path, headers=user.headers, json={"ticket_count": 4}).json

    assert (fewer["amount_due"], more["amount_due"]) == (3600, 8000)
    assert _counts(client, priced) == (0, 4, 1)


def test_an_expired_booking_whose_tickets_are_gone_cannot_be_changed_or_confirmed(
    client: FlaskClient, user: Account, organizer: Account, database: sa.Engine
) -> None:
    event = make_event(client, organizer, capacity=1)
    held = book(client, user, event, hold_minutes=5).json
    let_holds_expire(database)
    assert book(client, make_user(client), event).status_code == 201

    changed = client.patch(f"{API}/bookings/{held['id']}", headers=user.headers, json={"guest_name": "Grace"})

    assert code_of(changed) == (409, "hold-expired")
    assert code_of(confirm(client, user, held)) == (409, "hold-expired")


def test_a_late_confirmation_succeeds_while_tickets_are_left(
    client: FlaskClient, user: Account, database: sa.Engine
) -> None:
    event = make_event(client, capacity=2)
    held = book(client, user, event, hold_minutes=5).json
    let_holds_expire(database)

    assert confirm(client, user, held).json["status"] == "confirmed"
    assert _counts(client, event) == (1, 0, 1)


def test_a_late_confirmation_takes_no_tickets_that_a_strict_list_keeps(
    client: FlaskClient, user: Account, organizer: Account, waiting: Event, database: sa.Engine
) -> None:
    change(client, organizer, waiting, waitlist_policy="strict")
    held = book(client, user, waiting, hold_minutes=5).json
    book(client, user, waiting, ticket_count=3)
    party = join(client, waiting, 2)
    let_holds_expire(database)

    assert code_of(confirm(client, user, held)) == (409, "hold-expired")
    assert statuses(client, party) == ["waitlisted"]


def test_holds_count_towards_the_limit_per_person_until_they_expire(
    client: FlaskClient, user: Account, database: sa.Engine
) -> None:
    event = make_event(client, max_tickets_per_person=2)
    held = book(client, user, event, ticket_count=2, hold_minutes=5).json
    assert code_of(book(client, user, event)) == (409, "too-many-for-person")
    let_holds_expire(database)
    assert book(client, user, event).status_code == 201

    assert code_of(confirm(client, user, held)) == (409, "hold-expired")


def test_cancelling_an_event_cancels_its_holds(
    client: FlaskClient, user: Account, organizer: Account, priced: Event
) -> None:
    held = book(client, user, priced).json

    client.post(f"{API}/events/{priced['id']}/cancel", headers=organizer.headers)

    assert get(client, user, held)["status"] == "cancelled"
    assert _counts(client, priced) == (0, 0, 5)


def test_capacity_cannot_be_reduced_below_the_held_tickets(
    client: FlaskClient, user: Account, organizer: Account, priced: Event, database: sa.Engine
) -> None:
    book(client, user, priced, ticket_count=3)
    path = f"{API}/events/{priced['id']}"

    refused = client.patch(path, headers=organizer.headers, json={"capacity": 2})
    assert code_of(refused) == (409, "capacity-below-booked")
    let_holds_expire(database)

    assert client.patch(path, headers=organizer.headers, json={"capacity": 2}).status_code == 200
