"""The rules about tickets: pure functions, shared by booking and changing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.bookings.items import exceeded_limits, raise_first
from bookings_api.bookings.order import Order
from bookings_api.bookings.rules import require_changeable, require_open
from bookings_api.errors import DomainError, EventNotOpen, SoldOut, TooManyTickets
from bookings_api.inventory.availability import Item, shortages
from bookings_api.models import Event, EventStatus, TicketType
from tests.factories import API, book, make_event, make_user

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def _require_bookable(event: Event, count: int, *, in_all: int) -> None:
    """Require that a booking can get `count` more tickets, so that it has `in_all`."""
    ticket_type = TicketType(name="General admission", tickets_booked=0, tickets_held=0)
    require_open(event, now=NOW)
    raise_first(exceeded_limits(event, [Item(ticket_type, in_all, 0)], total=in_all, field="ticket_count"))
    raise_first(shortages(event, [Item(ticket_type, count, 0)], total=count))


def _event(**changes: Any) -> Event:
    fields = {
        "status": EventStatus.PUBLISHED,
        "starts_at": NOW + INSTANT,
        "capacity": 10,
        "tickets_booked": 0,
        "tickets_held": 0,
        "max_tickets_per_booking": 4,
    }
    return Event(**{**fields, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"booking_opens_at": NOW},
        {"booking_closes_at": NOW + INSTANT},
        {"starts_at": NOW - INSTANT, "booking_closes_at": NOW + INSTANT},
        {"tickets_booked": 7},
        {"max_tickets_per_booking": 3},
    ],
    ids=["plain", "opens now", "closes in an instant", "started", "just enough left", "just allowed"],
)
def test_tickets_are_bookable_up_to_every_limit(changes: dict[str, Any]) -> None:
    _require_bookable(_event(**changes), 3, in_all=3)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"status": EventStatus.DRAFT}, EventNotOpen),
        ({"status": EventStatus.CANCELLED}, EventNotOpen),
        ({"starts_at": NOW}, EventNotOpen),
        ({"starts_at": NOW - INSTANT, "booking_closes_at": NOW}, EventNotOpen),
        ({"booking_opens_at": NOW + INSTANT}, EventNotOpen),
        ({"booking_closes_at": NOW}, EventNotOpen),
        ({"max_tickets_per_booking": 2}, TooManyTickets),
        ({"tickets_booked": 8}, SoldOut),
    ],
    ids=[
        "draft",
        "cancelled",
        "started",
        "closed after the start",
        "opens in an instant",
        "closed",
        "too many",
        "too few left",
    ],
)
def test_tickets_are_not_bookable_beyond_a_limit(changes: dict[str, Any], error: type[DomainError]) -> None:
    with pytest.raises(error):
        _require_bookable(_event(**changes), 3, in_all=3)


def test_one_of_several_reasons_always_takes_precedence() -> None:
    everything = {"tickets_booked": 10, "max_tickets_per_booking": 1, "booking_closes_at": NOW}

    for left, error in [(3, "closed"), (2, "at most 1"), (1, "No tickets")]:
        with pytest.raises(DomainError, match=error):
            _require_bookable(_event(**dict(list(everything.items())[:left])), 3, in_all=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"starts_at": NOW + INSTANT},
        {"starts_at": NOW + INSTANT, "booking_closes_at": NOW - INSTANT},
        {"starts_at": NOW, "booking_closes_at": NOW + INSTANT},
    ],
    ids=["not started", "closed but not started", "started but open"],
)
def test_a_booking_is_changeable_until_the_event_has_started_and_booking_has_closed(changes: dict[str, Any]) -> None:
    require_changeable(_event(**changes), by_organizer=False, now=NOW)


@pytest.mark.parametrize("changes", [{}, {"booking_closes_at": NOW}], ids=["started", "started and closed"])
def test_a_booking_is_not_changeable_afterwards(changes: dict[str, Any]) -> None:
    with pytest.raises(EventNotOpen):
        require_changeable(_event(starts_at=NOW, **changes), by_organizer=False, now=NOW)


def test_only_additional_tickets_must_be_available() -> None:
    _require_bookable(_event(tickets_booked=9), 1, in_all=4)


@pytest.mark.parametrize(
    "changes",
    [
        {"booking_closes_at": datetime.now(UTC) - timedelta(minutes=1)},
        {"max_tickets_per_booking": 1},
        {"capacity": 1},
        {"starts_at": datetime.now(UTC) - timedelta(minutes=1)},
    ],
    ids=["closed", "too many", "sold out", "started"],
)
def test_booking_and_changing_are_refused_for_the_same_reason(
    client: FlaskClient, database: sa.Engine, changes: dict[str, Any]
) -> None:
    user, event = make_user(client), make_event(client)
    booking = book(client, user, event).json
    with database.begin() as connection:
        connection.execute(sa.update(Event).values(changes))

    booked = book(client, user, event, ticket_count=2)
    changed = client.patch(f"{API}/bookings/{booking['id']}", headers=user.headers, json={"ticket_count": 2})

    assert booked.status_code >= 400
    assert (booked.status_code, booked.json) == (changed.status_code, changed.json)


def test_the_hash_of_an_order_does_not_depend_on_fields_that_are_not_set() -> None:
    """Otherwise an order repeated after an upgrade that adds a field would be refused as a different order."""
    order = Order(
        event_id=UUID(int=1), external_id="order-1", guest_name="Grace Hopper", guest_email="grace@example.com"
    )

    assert order.hash.hex() == "e23807266eb807f9a4b15a0aa32cbc908c3a075fa7c074b868b931f1ba5c1edc"
    assert replace(order, ticket_count=2).hash != order.hash
