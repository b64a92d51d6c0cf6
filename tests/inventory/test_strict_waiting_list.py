"""Waiting lists with the policy `strict`."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories import API, Account, book, items, make_event, make_ticket_type, make_user
from tests.inventory.conftest import Event, cancel, change, code_of, join, statuses

pytestmark = pytest.mark.usefixtures("audited")


def test_a_strict_list_does_not_skip_a_large_party(
    client: FlaskClient, user: Account, organizer: Account, waiting: Event, full: Any
) -> None:
    change(client, organizer, waiting, waitlist_policy="strict")
    large, small = (join(client, waiting, count) for count in (3, 1))

    client.patch(f"{API}/bookings/{full['id']}", headers=user.headers, json={"ticket_count": 2})

    assert statuses(client, large, small) == ["waitlisted", "waitlisted"]
    newcomer = book(client, make_user(client), waiting)
    assert code_of(newcomer) == (409, "waiting-list")
    _, joined = join(client, waiting, 1)
    assert joined["position"] == 3
    change(client, organizer, waiting, waitlist_policy="first_fit")
    assert statuses(client, large, small) == ["waitlisted", "confirmed"]


def test_a_strict_list_does_not_block_other_ticket_types(
    client: FlaskClient, user: Account, organizer: Account
) -> None:
    event = make_event(client, organizer, capacity=10, waitlist="on", waitlist_policy="strict")
    front = make_ticket_type(client, organizer, event, capacity=2)
    [general, _] = client.get(f"{API}/events/{event['id']}/ticket-types").json or []
    book(client, user, event, items=items((front, 2)))
    waiting = book(client, user, event, items=items((front, 1)), waitlist=True).json
    assert waiting["status"] == "waitlisted"

    assert book(client, make_user(client), event, items=items((general, 1))).status_code == 201
    both = book(client, make_user(client), event, items=items((general, 1), (front, 1)))
    assert code_of(both) == (409, "sold-out")


def test_only_the_tickets_that_a_party_wants_are_kept_for_it(
    client: FlaskClient, user: Account, organizer: Account
) -> None:
    event = make_event(client, organizer, capacity=10, waitlist="on", waitlist_policy="strict")
    front = make_ticket_type(client, organizer, event, capacity=1)
    [general, _] = client.get(f"{API}/events/{event['id']}/ticket-types").json or []
    sold = book(client, user, event, items=items((front, 1))).json
    account = make_user(client)
    party = book(client, account, event, items=items((front, 1), (general, 3)), waitlist=True).json

    first = book(client, make_user(client), event, items=items((general, 6)))
    second = book(client, make_user(client), event, items=items((general, 1)))

    assert (first.status_code, code_of(second)) == (201, (409, "waiting-list"))
    cancel(client, user, sold)
    assert statuses(client, (account, party)) == ["confirmed"]
