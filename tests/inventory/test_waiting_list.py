"""The waiting list: joining, promotion, offers, and leaving."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from tests.factories import API, Account, Key, book, book_for_guest, items, make_event, make_ticket_type, make_user
from tests.inventory.conftest import (
    Event,
    cancel,
    change,
    code_of,
    confirm,
    emails_about,
    get,
    join,
    let_holds_expire,
    statuses,
)
from tests.sql import execute

pytestmark = pytest.mark.usefixtures("audited")


def test_a_waiting_booking_shows_its_position(
    client: FlaskClient, waiting: Event, full: Any, organizer: Account, database: sa.Engine
) -> None:
    _, first = join(client, waiting, 3)
    account, second = join(client, waiting, 2)

    assert [(one["status"], one["position"], one["tickets_ahead"]) for one in (first, second)] == [
        ("waitlisted", 1, 0),
        ("waitlisted", 2, 3),
    ]
    assert get(client, account, second) == second
    assert emails_about(database, second) == ["booking_waitlisted"]
    listed = client.get(f"{API}/events/{waiting['id']}/waiting-list", headers=organizer.headers).json
    assert [(one["id"], one["position"]) for one in listed] == [(first["id"], 1), (second["id"], 2)]
    capacity = client.get(f"{API}/events/{waiting['id']}/capacity", headers=organizer.headers).json
    assert (capacity["tickets_available"], capacity["tickets_waiting"]) == (0, 5)
    assert [one["tickets_waiting"] for one in capacity["ticket_types"]] == [5]


def test_an_order_that_cannot_wait_is_refused_as_sold_out(
    client: FlaskClient, user: Account, organizer: Account, waiting: Event, full: Any
) -> None:
    off = make_event(client, organizer, capacity=1)
    book(client, user, off)

    assert code_of(book(client, user, waiting)) == (409, "sold-out")
    assert code_of(book(client, user, off, waitlist=True)) == (409, "sold-out")
    assert code_of(book(client, user, waiting, ticket_count=5, waitlist=True)) == (409, "sold-out")


def test_released_tickets_promote_the_first_parties_that_fit(
    client: FlaskClient, user: Account, waiting: Event, full: Any, database: sa.Engine
) -> None:
    large, small, late = (join(client, waiting, count) for count in (4, 2, 1))

    client.patch(f"{API}/bookings/{full['id']}", headers=user.headers, json={"ticket_count": 1})

    assert statuses(client, large, small, late) == ["waitlisted", "confirmed", "confirmed"]
    assert emails_about(database, small[1]) == ["booking_waitlisted", "booking_confirmed"]
    assert (get(client, *large)["position"], get(client, *small)["position"]) == (1, None)


def test_a_party_that_accepts_fewer_gets_what_is_left(
    client: FlaskClient, user: Account, waiting: Event, full: Any
) -> None:
    flexible = join(client, waiting, 4, accept_fewer=2)

    client.patch(f"{API}/bookings/{full['id']}", headers=user.headers, json={"ticket_count": 3})
    assert statuses(client, flexible) == ["waitlisted"]
    client.patch(f"{API}/bookings/{full['id']}", headers=user.headers, json={"ticket_count": 1})

    promoted = get(client, *flexible)
    assert (promoted["status"], promoted["ticket_count"]) == ("confirmed", 3)
    assert [item["count"] for item in promoted["items"]] == [3]


def test_a_new_order_that_accepts_fewer_gets_them_immediately(
    client: FlaskClient, user: Account, waiting: Event
) -> None:
    book(client, user, waiting, ticket_count=2)

    _, booked = join(client, waiting, 4, accept_fewer=1)

    assert (booked["status"], booked["ticket_count"]) == ("confirmed", 2)


def test_more_capacity_promotes_waiting_parties(
    client: FlaskClient, organizer: Account, waiting: Event, full: Any
) -> None:
    parties = [join(client, waiting, 2) for _ in range(3)]

    change(client, organizer, waiting, capacity=8)

    assert statuses(client, *parties) == ["confirmed", "confirmed", "waitlisted"]


def test_an_expired_hold_promotes_a_waiting_party(
    client: FlaskClient, user: Account, waiting: Event, database: sa.Engine, run_sweep: Callable[[], None]
) -> None:
    book(client, user, waiting, ticket_count=3, hold_minutes=5)
    book(client, user, waiting)
    party = join(client, waiting, 3)
    let_holds_expire(database)

    run_sweep()

    assert statuses(client, party) == ["confirmed"]


def test_the_sweep_promotes_waiting_parties_while_tickets_are_left(
    client: FlaskClient, waiting: Event, full: Any, database: sa.Engine, run_sweep: Callable[[], None]
) -> None:
    party = join(client, waiting, 2)
    execute(database, f"UPDATE events SET capacity = 6 WHERE id = '{waiting['id']}'")

    run_sweep()

    assert statuses(client, party) == ["confirmed"]


def test_a_new_order_never_gets_tickets_that_a_waiting_party_could_use(
    client: FlaskClient, user: Account, waiting: Event, database: sa.Engine
) -> None:
    book(client, user, waiting, ticket_count=2, hold_minutes=5)
    book(client, user, waiting)
    party = join(client, waiting, 3)
    let_holds_expire(database)

    newcomer = book(client, make_user(client), waiting)

    assert code_of(newcomer) == (409, "sold-out")
    assert statuses(client, party) == ["confirmed"]


def test_an_offer_must_be_accepted_in_time(
    client: FlaskClient, user: Account, organizer: Account, waiting: Event, full: Any, database: sa.Engine
) -> None:
    change(client, organizer, waiting, waitlist_offer_minutes=60)
    first, second = join(client, waiting, 4), join(client, waiting, 4)
    cancel(client, user, full)
    offered = get(client, *first)
    assert (offered["status"], offered["position"]) == ("held", None)
    assert emails_about(database, first[1]) == ["booking_waitlisted", "booking_offered"]
    let_holds_expire(database)

    assert code_of(confirm(client, *first)) == (409, "hold-expired")
    # the refusal ended the offer and made one to the next party
    assert statuses(client, first, second) == ["expired", "held"]
    assert emails_about(database, first[1])[-1] == "booking_expired"
    assert confirm(client, *second).json["status"] == "confirmed"
    assert emails_about(database, second[1])[-1] == "booking_confirmed"


def test_priced_tickets_are_offered_and_not_confirmed(
    client: FlaskClient, key: Key, organizer: Account, priced: Event
) -> None:
    change(client, organizer, priced, waitlist="on")
    sold = book_for_guest(client, key, priced, ticket_count=5).json
    waiting = book_for_guest(client, key, priced, ticket_count=4, waitlist=True, accept_fewer=1).json

    client.patch(f"{API}/bookings/{sold['id']}", headers=key.headers, json={"ticket_count": 3})

    offered = get(client, key, waiting)
    assert (offered["status"], offered["ticket_count"], offered["amount_due"]) == ("held", 2, 3600)
    assert confirm(client, key, offered).json["status"] == "confirmed"


def test_leaving_the_waiting_list_moves_later_parties_up(
    client: FlaskClient, organizer: Account, waiting: Event, full: Any, database: sa.Engine
) -> None:
    first, second = join(client, waiting, 4), join(client, waiting, 1)

    assert cancel(client, *first).json["status"] == "cancelled"

    assert get(client, *second)["position"] == 1
    assert emails_about(database, first[1]) == ["booking_waitlisted", "booking_cancelled"]


def test_a_changed_party_keeps_its_place_unless_it_grows(
    client: FlaskClient, waiting: Event, full: Any, database: sa.Engine
) -> None:
    first, second = join(client, waiting, 3), join(client, waiting, 1)
    path = f"{API}/bookings/{first[1]['id']}"

    fewer = client.patch(path, headers=first[0].headers, json={"ticket_count": 2}).json
    assert (fewer["status"], fewer["position"], fewer["ticket_count"]) == ("waitlisted", 1, 2)
    more = client.patch(path, headers=first[0].headers, json={"ticket_count": 3}).json
    assert (more["position"], more["tickets_ahead"]) == (2, 1)

    assert get(client, *second)["position"] == 1
    assert emails_about(database, first[1]) == ["booking_waitlisted"] * 3


def test_a_party_that_becomes_small_enough_is_promoted_at_once(
    client: FlaskClient, user: Account, waiting: Event, database: sa.Engine
) -> None:
    book(client, user, waiting, ticket_count=2)
    account, party = join(client, waiting, 3)

    changed = client.patch(f"{API}/bookings/{party['id']}", headers=account.headers, json={"ticket_count": 2}).json

    assert (changed["status"], changed["position"]) == ("confirmed", None)
    assert emails_about(database, party) == ["booking_waitlisted", "booking_confirmed"]


def test_promotions_respect_the_limit_per_person(client: FlaskClient, user: Account, organizer: Account) -> None:
    event = make_event(client, organizer, capacity=4, waitlist="on", max_tickets_per_person=3)
    full = [book(client, make_user(client), event, ticket_count=2).json for _ in range(2)]
    own = [book(client, user, event, ticket_count=2, waitlist=True).json for _ in range(2)]
    other = join(client, event, 1)

    for booking in full:
        client.delete(f"{API}/bookings/{booking['id']}", headers=organizer.headers)

    own_statuses = [get(client, user, booking)["status"] for booking in own]
    assert own_statuses == ["confirmed", "waitlisted"]
    assert statuses(client, other) == ["confirmed"]
    change(client, organizer, event, max_tickets_per_person=4, capacity=5)
    assert get(client, user, own[1])["status"] == "confirmed"


def test_a_party_that_accepts_fewer_gets_as_many_as_its_person_may_have(
    client: FlaskClient, user: Account, organizer: Account
) -> None:
    event = make_event(client, organizer, capacity=4, waitlist="on", max_tickets_per_person=3)
    full = [book(client, make_user(client), event, ticket_count=2).json for _ in range(2)]
    book(client, user, event, ticket_count=2, waitlist=True)
    party = book(client, user, event, ticket_count=3, waitlist=True, accept_fewer=1).json

    for booking in full:
        client.delete(f"{API}/bookings/{booking['id']}", headers=organizer.headers)

    promoted = get(client, user, party)
    assert (promoted["status"], promoted["ticket_count"]) == ("confirmed", 1)


def test_waiting_bookings_expire_when_booking_closes(
    client: FlaskClient, waiting: Event, full: Any, database: sa.Engine, run_sweep: Callable[[], None]
) -> None:
    party = join(client, waiting, 1)
    execute(database, f"UPDATE events SET booking_closes_at = now() WHERE id = '{waiting['id']}'")

    run_sweep()

    assert statuses(client, party) == ["expired"]
    assert emails_about(database, party[1]) == ["booking_waitlisted", "booking_expired"]


def test_cancelling_the_event_cancels_waiting_bookings(
    client: FlaskClient, organizer: Account, waiting: Event, full: Any
) -> None:
    party = join(client, waiting, 1)

    client.post(f"{API}/events/{waiting['id']}/cancel", headers=organizer.headers)

    assert statuses(client, party) == ["cancelled"]


def test_a_type_that_people_wait_for_cannot_be_deleted(client: FlaskClient, user: Account, organizer: Account) -> None:
    event = make_event(client, organizer, capacity=10, waitlist="on")
    front = make_ticket_type(client, organizer, event, capacity=1)
    sold = book(client, user, event, items=items((front, 1))).json
    party = book(client, user, event, items=items((front, 1)), waitlist=True).json
    path = f"{API}/events/{event['id']}/ticket-types/{front['id']}"
    assert cancel(client, user, sold).status_code == 200

    assert get(client, user, party)["status"] == "confirmed"
    again = book(client, user, event, items=items((front, 1)), waitlist=True).json
    assert again["status"] == "waitlisted"
    assert code_of(client.delete(path, headers=organizer.headers)) == (409, "ticket-type-in-use")


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"accept_fewer": 1}, "Requires waitlist."),
        ({"accept_fewer": 2, "waitlist": True}, "Must be at most 1, the number of tickets."),
    ],
    ids=["without waitlist", "too many"],
)
def test_an_invalid_accept_fewer_is_refused(
    client: FlaskClient, user: Account, waiting: Event, order: dict[str, Any], message: str
) -> None:
    refused = book(client, user, waiting, **order)

    assert code_of(refused) == (422, "invalid-input")
    assert refused.json["errors"] == [{"in": "body", "field": "accept_fewer", "detail": message}]
