"""Counts the tickets of a person, for events that limit them (`max_tickets_per_person`).

A person is an account or, for bookings made with API keys, the mailbox of the guest.
"""

import sqlalchemy as sa

from bookings_api.database.prepared import Prepared, run
from bookings_api.models import Booking, BookingStatus
from bookings_api.models.booking import mailbox

# The other bookings of the person who books
OTHERS = Booking.__table__.alias("others")
IS_OF_MAILBOX = sa.and_(
    OTHERS.c.api_key_id.is_not(None),
    mailbox(OTHERS.c.guest_email) == mailbox(sa.bindparam("guest_email", type_=sa.Text())),
)


def tickets_where(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    """Return the number of tickets in confirmed bookings that meet the conditions."""
    confirmed: sa.ColumnElement[str] = sa.literal_column(f"'{BookingStatus.CONFIRMED}'")
    query = sa.select(sa.func.coalesce(sa.func.sum(OTHERS.c.ticket_count), 0, type_=sa.BigInteger))
    return query.where(OTHERS.c.status == confirmed, *conditions).scalar_subquery()


def tickets_of_person(booking: Booking) -> int:
    """Return how many tickets a booking's person has for its event, in this and other confirmed bookings."""
    if booking.user_id is not None:
        [(tickets,)] = run(_TICKETS_OF_ACCOUNT.with_values(event_id=booking.event_id, user_id=booking.user_id))
    else:
        [(tickets,)] = run(_TICKETS_OF_MAILBOX.with_values(event_id=booking.event_id, guest_email=booking.guest_email))
    return int(tickets)


_event_id = sa.bindparam("event_id", type_=sa.Uuid())
_TICKETS_OF_ACCOUNT = Prepared(
    "tickets_of_account",
    sa.select(
        tickets_where(OTHERS.c.event_id == _event_id, OTHERS.c.user_id == sa.bindparam("user_id", type_=sa.Uuid()))
    ),
)
_TICKETS_OF_MAILBOX = Prepared(
    "tickets_of_mailbox", sa.select(tickets_where(OTHERS.c.event_id == _event_id, IS_OF_MAILBOX))
)
