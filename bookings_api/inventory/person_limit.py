"""Counts a person's tickets, for events with a limit per person (`max_tickets_per_person`).

A person is an account or, for bookings made with API keys, the guest's email (without `+` suffix).
"""

import sqlalchemy as sa

from bookings_api.database.prepared import Prepared, run
from bookings_api.errors import TooManyForPerson
from bookings_api.models import Booking, BookingStatus, Event
from bookings_api.models.booking import mailbox

# The bookings whose tickets count for a person
COUNTED = Booking.__table__.alias("others")
IS_OF_MAILBOX = sa.and_(
    COUNTED.c.api_key_id.is_not(None),
    mailbox(COUNTED.c.guest_email) == mailbox(sa.bindparam("guest_email", type_=sa.Text())),
)


def require_within_person_limit(event: Event, count: int, *, booked: int) -> None:
    """Raise `TooManyForPerson` if a person who has `booked` tickets cannot get `count` more."""
    if exceeds_person_limit(event, count, booked=booked):
        raise TooManyForPerson(event.max_tickets_per_person or 0, booked)


def exceeds_person_limit(event: Event, count: int, *, booked: int) -> bool:
    """Whether a person who has `booked` tickets would have too many with `count` more."""
    return event.max_tickets_per_person is not None and booked + count > event.max_tickets_per_person


def tickets_where(*conditions: sa.ColumnElement[bool]) -> sa.Select[tuple[int]]:
    """Return the query for the number of tickets in bookings that meet the conditions and have tickets."""
    confirmed, held = (
        COUNTED.c.status == sa.literal_column(f"'{status}'", sa.Text)
        for status in (BookingStatus.CONFIRMED, BookingStatus.HELD)
    )
    has_tickets = confirmed | (held & (COUNTED.c.held_until > sa.func.clock_timestamp()))
    tickets = sa.func.coalesce(sa.func.sum(COUNTED.c.ticket_count), 0, type_=sa.BigInteger)
    return sa.select(tickets.label("tickets")).where(has_tickets, *conditions)


def tickets_of_person(booking: Booking) -> int:
    """Return how many tickets the booking's person has for the event, in confirmed bookings and in holds."""
    if booking.user_id is not None:
        [(tickets,)] = run(_TICKETS_OF_ACCOUNT.with_values(event_id=booking.event_id, user_id=booking.user_id))
    else:
        [(tickets,)] = run(_TICKETS_OF_MAILBOX.with_values(event_id=booking.event_id, guest_email=booking.guest_email))
    return int(tickets)


_event_id = sa.bindparam("event_id", type_=sa.Uuid())
_TICKETS_OF_ACCOUNT = Prepared(
    "tickets_of_account",
    tickets_where(COUNTED.c.event_id == _event_id, COUNTED.c.user_id == sa.bindparam("user_id", type_=sa.Uuid())),
)
_TICKETS_OF_MAILBOX = Prepared("tickets_of_mailbox", tickets_where(COUNTED.c.event_id == _event_id, IS_OF_MAILBOX))
