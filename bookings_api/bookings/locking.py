"""Locks an event, reads the facts that determine whether an order can be booked, and takes or releases tickets.

Only `take` and `release` change an event's `tickets_booked`, except for cancelling the event and `audit --repair`.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.bookings.rules import Facts
from bookings_api.database.prepared import BoundStatement, Prepared, insert_into, read_row
from bookings_api.database.transactions import RowLockedTransaction
from bookings_api.models import Booking, Event, IdempotencyKey, Login, OutboxEmail, User
from bookings_api.models.user import is_logged_in


def take(event: Event, count: int) -> BoundStatement:
    """Return the statement that takes tickets from a locked event. The caller must check the rules first."""
    return _COUNT_TICKETS.with_values(event_id=event.id, count=count)


def release(event: Event, count: int) -> BoundStatement:
    """Return the statement that gives tickets back to a locked event."""
    return take(event, -count)


def lock_and_read_facts(tx: RowLockedTransaction, event_id: UUID, *, login_id: UUID, key: str | None) -> Facts:
    """Lock the event, then read the facts that determine whether an order can be booked."""
    lock = _LOCK_EVENT.with_values(event_id=event_id)
    return _facts(tx.lock_and_read(lock, _FACTS.with_values(event_id=event_id, login_id=login_id, key=key)))


def peek_at_facts(event_id: UUID, *, login_id: UUID, key: str | None) -> Facts:
    """Read the same facts without a lock. They suffice to refuse an order, but not to book it."""
    return _facts(_FACTS(event_id=event_id, login_id=login_id, key=key))


def _facts(rows: list[tuple[Any, ...]]) -> Facts:
    [(now, *row)] = rows
    user, stored, event = row[:_USER_ENDS], row[_USER_ENDS:_KEY_ENDS], row[_KEY_ENDS:]
    return Facts(
        read_row(User, user) if user[0] else None,
        IdempotencyKey(request_hash=stored[0], response=stored[1]) if stored[0] else None,
        read_row(Event, event) if event[0] else None,
        now,
    )


INSERT_BOOKING = insert_into(Booking)
INSERT_EMAIL = insert_into(
    OutboxEmail, "id", "kind", "recipient", "payload", "booking_id", "user_id", "request_id", "message_id"
)

_event_id = sa.bindparam("event_id", type_=sa.Uuid())

_LOCK_EVENT = Prepared("lock_event", sa.select(sa.literal_column("1")).where(Event.id == _event_id).with_for_update())

_COUNT_TICKETS = Prepared(
    "count_tickets",
    sa.update(Event)
    .where(Event.id == _event_id)
    .values(
        tickets_booked=Event.tickets_booked + sa.bindparam("count", type_=sa.Integer),
        updated_at=sa.func.clock_timestamp(),
    ),
)

_users, _logins, _keys, _events = (model.__table__ for model in (User, Login, IdempotencyKey, Event))
_USER_ENDS = len(_users.c)
_KEY_ENDS = _USER_ENDS + 2
_login_id, _key = sa.bindparam("login_id", type_=sa.Uuid()), sa.bindparam("key", type_=sa.Text())

# Always returns one row, even if the user, the key or the event does not exist.
_FACTS = Prepared(
    "facts_of_order",
    sa.select(sa.func.clock_timestamp(), *_users.c, _keys.c.request_hash, _keys.c.response, *_events.c).select_from(
        sa.select(sa.literal_column("1"))
        .subquery("one")
        .outerjoin(
            sa.join(_logins, _users, _users.c.id == _logins.c.user_id),
            sa.and_(_logins.c.id == _login_id, *is_logged_in()),
        )
        .outerjoin(_keys, sa.and_(_keys.c.user_id == _users.c.id, _keys.c.key == _key))
        .outerjoin(_events, _events.c.id == _event_id)
    ),
)
