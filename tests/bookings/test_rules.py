"""What PostgreSQL decides and what the errors say are one rule."""

from datetime import datetime, timedelta
from itertools import product

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bookings_api.bookings.rules import is_bookable, require_open, require_seats
from bookings_api.errors import BookingError
from bookings_api.extensions import db
from bookings_api.models import Event, EventStatus, utcnow
from tests.factories import make_event, make_user

HOUR = timedelta(hours=1)


def _is_open(event: Event, now: datetime, tickets: int) -> bool:
    try:
        require_open(event, now=now)
        require_seats(event, tickets, in_all=tickets)
    except BookingError:
        return False
    return True


@pytest.mark.usefixtures("context")
def test_postgresql_takes_tickets_of_exactly_the_events_that_no_error_speaks_against(client: FlaskClient) -> None:
    make_user(client)
    event = db.session.get_one(Event, make_event(client)["id"])
    now, seen = utcnow(), set()
    for status, begins, opens, closes, booked in product(
        EventStatus, (HOUR, -HOUR), (None, HOUR, -2 * HOUR), (None, 2 * HOUR, -HOUR), (0, 1)
    ):
        if opens and closes and opens > closes:
            continue  # which the table refuses
        event.status, event.starts_at, event.ends_at = status, now + begins, now + 3 * HOUR
        event.booking_opens_at = now + opens if opens else None
        event.booking_closes_at = now + closes if closes else None
        event.capacity, event.tickets_booked, event.max_tickets_per_booking = 3, booked, 3
        db.session.flush()
        for tickets in (2, 3, 4):
            rule = is_bookable(sa.literal(now), sa.literal(tickets))
            decided = db.session.scalars(sa.select(sa.exists().where(Event.id == event.id, *rule))).one()
            assert decided == _is_open(event, now, tickets), (status, begins, opens, closes, booked, tickets)
            seen.add(decided)

    assert seen == {True, False}
