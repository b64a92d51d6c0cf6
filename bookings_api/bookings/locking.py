"""Locks an event, reads the facts that determine whether an order can be booked, and takes or releases tickets.

Only `take` and `release` change an event's `tickets_booked`, except for cancelling the event and `audit --repair`.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from bookings_api.bookings.rules import Facts
from bookings_api.database.prepared import BoundStatement, Prepared, insert_into, read_row
from bookings_api.database.transactions import RowLockedTransaction
from bookings_api.models import (
    Booking,
    Event,
    IdempotencyKey,
    Login,
    MemberRole,
    Membership,
    OutboxEmail,
    TeamMember,
    TeamRole,
    User,
)
from bookings_api.models.user import is_logged_in
from bookings_api.permissions import Actor


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
    [(now, request_hash, response, role, is_admitted, team_role, *row)] = rows
    user, event = row[:_USER_ENDS], read_row(Event, row[_USER_ENDS:]) if row[_USER_ENDS] else None
    actor = None
    if user[0]:
        roles = {event.organization_id: MemberRole(role)} if event and role and is_admitted else {}
        team = {event.id: TeamRole(team_role)} if event and team_role and is_admitted is not False else {}
        actor = Actor(user=read_row(User, user), roles=roles, team=team)
    stored = IdempotencyKey(request_hash=request_hash, response=response) if request_hash else None
    return Facts(actor, is_admitted, stored, event, now)


INSERT_BOOKING = insert_into(Booking)
# Two first bookings of an account may run at the same time.
ADMIT = Prepared(
    "admit_customer",
    postgresql.insert(Membership)
    .values(
        organization_id=sa.bindparam("organization_id", type_=sa.Uuid()),
        user_id=sa.bindparam("user_id", type_=sa.Uuid()),
        is_active=sa.true(),
        version=sa.literal_column("1"),
    )
    .on_conflict_do_nothing(),
)
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
_members, _team = Membership.__table__, TeamMember.__table__
_USER_ENDS = len(_users.c)
_login_id, _key = sa.bindparam("login_id", type_=sa.Uuid()), sa.bindparam("key", type_=sa.Text())

# Always returns one row, even if the user, the key or the event does not exist.
_FACTS = Prepared(
    "facts_of_order",
    sa.select(
        sa.func.clock_timestamp(),
        _keys.c.request_hash,
        _keys.c.response,
        _members.c.role,
        _members.c.is_active,
        _team.c.role,
        *_users.c,
        *_events.c,
    ).select_from(
        sa.select(sa.literal_column("1"))
        .subquery("one")
        .outerjoin(
            sa.join(_logins, _users, _users.c.id == _logins.c.user_id),
            sa.and_(_logins.c.id == _login_id, *is_logged_in()),
        )
        .outerjoin(_keys, sa.and_(_keys.c.actor_id == _users.c.id, _keys.c.key == _key))
        .outerjoin(_events, _events.c.id == _event_id)
        .outerjoin(
            _members,
            sa.and_(_members.c.organization_id == _events.c.organization_id, _members.c.user_id == _users.c.id),
        )
        .outerjoin(_team, sa.and_(_team.c.event_id == _event_id, _team.c.user_id == _users.c.id, _team.c.is_accepted))
    ),
)
