"""Locks an event and reads the facts that determine whether an order can be booked."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bookings_api.bookings.order import Facts
from bookings_api.database.prepared import BoundStatement, Prepared, read_row, run
from bookings_api.database.transactions import RowLockedTransaction
from bookings_api.database.violations import violated_unique_constraint
from bookings_api.errors import InvalidApiKey
from bookings_api.inventory.person_limit import COUNTED, IS_OF_MAILBOX, tickets_where
from bookings_api.inventory.queue import queue_from, read_queue
from bookings_api.models import (
    ApiKey,
    Booking,
    Event,
    IdempotencyKey,
    Login,
    MemberRole,
    Membership,
    TeamMember,
    TeamRole,
    TicketType,
    User,
    WaitlistPolicy,
)
from bookings_api.models.api_key import is_usable
from bookings_api.models.user import is_logged_in
from bookings_api.permissions import Actor


class Inquiry(NamedTuple):
    """The values used to look up the facts about an order.

    Set either `login_id` or `key_hash`. `key` is the `Idempotency-Key`.
    """

    event_id: UUID
    login_id: UUID | None = None
    key_hash: bytes | None = None
    key: str | None = None
    external_id: str | None = None
    guest_email: str | None = None


def lock_and_read_facts(tx: RowLockedTransaction, inquiry: Inquiry) -> Facts:
    """Lock the event, then read the facts about the order. Raises `InvalidApiKey`."""
    rows = tx.lock_and_read(_LOCK_EVENT.with_values(event_id=inquiry.event_id), _statement(inquiry))
    return _facts_from(rows, inquiry, tx.read)


def peek_at_facts(inquiry: Inquiry) -> Facts:
    """Read the facts about an order without a lock. These suffice to refuse the order, but not to book it."""
    return _facts_from(run(_statement(inquiry)), inquiry, run)


def _facts_from(
    rows: list[tuple[Any, ...]], inquiry: Inquiry, read: Callable[[BoundStatement], list[tuple[Any, ...]]]
) -> Facts:
    facts = _facts_of_login(rows) if inquiry.key_hash is None else _facts_of_key(rows)
    is_strict = facts.event is not None and facts.event.waitlist_policy is WaitlistPolicy.STRICT
    if is_strict and facts.has_waiting:
        return replace(facts, queue=queue_from(read(read_queue(inquiry.event_id))))
    return facts


def _statement(inquiry: Inquiry) -> BoundStatement:
    if inquiry.key_hash is None:
        return _FACTS.with_values(event_id=inquiry.event_id, login_id=inquiry.login_id, key=inquiry.key)
    return _FACTS_OF_KEY.with_values(
        event_id=inquiry.event_id,
        secret_hash=inquiry.key_hash,
        key=inquiry.key,
        external_id=inquiry.external_id,
        guest_email=inquiry.guest_email,
    )


def _facts_of_key(rows: list[tuple[Any, ...]]) -> Facts:
    situation, stored, key, event, computed, booking, _ = _split(
        rows[0], _SITUATION, 2, _KEY, _EVENT, len(_COMPUTED), _BOOKING, _TYPE
    )
    now, tickets, first_hold_ends, has_waiting = situation
    if not key[0]:
        raise InvalidApiKey
    return Facts(
        Actor(key=read_row(ApiKey, key)),
        None,
        _stored_response(*stored),
        read_row(Event, event) if event[0] else None,
        now,
        _ticket_types(rows),
        tickets,
        first_hold_ends,
        has_waiting,
        read_row(Booking, booking, **dict(zip(_COMPUTED, computed, strict=True))) if booking[0] else None,
    )


def _facts_of_login(rows: list[tuple[Any, ...]]) -> Facts:
    situation, stored, membership, user, columns, _ = _split(rows[0], _SITUATION, 2, 3, _USER, _EVENT, _TYPE)
    now, tickets, first_hold_ends, has_waiting = situation
    role, is_admitted, team_role = membership
    event = read_row(Event, columns) if columns[0] else None
    actor = None
    if user[0]:
        roles = {event.organization_id: MemberRole(role)} if event and role and is_admitted else {}
        team = {event.id: TeamRole(team_role)} if event and team_role and is_admitted is not False else {}
        actor = Actor(user=read_row(User, user), roles=roles, team=team)
    stored_response, types = _stored_response(*stored), _ticket_types(rows)
    return Facts(actor, is_admitted, stored_response, event, now, types, tickets, first_hold_ends, has_waiting)


def _split(row: Sequence[Any], *widths: int) -> list[list[Any]]:
    """Split a row into lists with these numbers of columns."""
    values = iter(row)
    return [list(islice(values, width)) for width in widths]


def _stored_response(request_hash: bytes | None, response: Any) -> IdempotencyKey | None:
    return IdempotencyKey(request_hash=request_hash, response=response) if request_hash else None


def _ticket_types(rows: list[tuple[Any, ...]]) -> list[TicketType]:
    """Read the ticket types, one from each row."""
    return [read_row(TicketType, row[-_TYPE:]) for row in rows if row[-_TYPE]]


def is_external_id_taken(error: IntegrityError) -> bool:
    """Whether the database rejected a booking because another booking has the same external ID.

    This happens when two requests for different events run at the same time.
    """
    return violated_unique_constraint(error) == "uq_bookings_organization_id_external_id"


_event_id = sa.bindparam("event_id", type_=sa.Uuid())

_LOCK_EVENT = Prepared("lock_event", sa.select(sa.literal_column("1")).where(Event.id == _event_id).with_for_update())

_users, _logins, _stored, _events, _api_keys, _bookings, _types = (
    model.__table__ for model in (User, Login, IdempotencyKey, Event, ApiKey, Booking, TicketType)
)
_members, _team = Membership.__table__, TeamMember.__table__
_USER, _KEY, _EVENT, _BOOKING, _TYPE = (len(table.c) for table in (_users, _api_keys, _events, _bookings, _types))
_SITUATION = 4  # the time, the person's tickets, the first end of a hold, and whether anyone waits
# the attributes of a booking that are not columns of its table
_COMPUTED = ("items", "position", "tickets_ahead")

_of_event = [_bookings.c.event_id == _event_id]
_first_hold_ends = sa.case(
    (
        _events.c.tickets_held > 0,
        sa.select(sa.func.min(_bookings.c.held_until))
        .where(*_of_event, _bookings.c.is_held)
        .correlate(None)
        .scalar_subquery(),
    )
)
_has_waiting = sa.exists().where(*_of_event, _bookings.c.is_waiting).correlate(None)


def _facts(
    name: str,
    actors: sa.FromClause,
    is_actor: sa.ColumnElement[bool],
    actor_id: sa.ColumnElement[UUID],
    is_of_person: sa.ColumnElement[bool],
    *joins: tuple[sa.FromClause, sa.ColumnElement[bool]],
    first: Sequence[sa.ColumnElement[Any]] = (),
    last: Sequence[sa.ColumnElement[Any]] = (),
) -> Prepared:
    """Return the statement that reads the facts about an order. `actors` contains the logins or the API keys.

    `is_of_person` selects the person's earlier bookings. They are read only if the event has a limit per person.

    The statement returns one row per ticket type, or a single row if the event has no ticket types or does not exist.
    The columns of anything that does not exist are NULL.
    """
    # read once, not for each ticket type, and only if the event has a limit
    is_limited = _events.c.max_tickets_per_person.is_not(None)
    person = tickets_where(COUNTED.c.event_id == _event_id, is_of_person, is_limited).lateral("person")
    joined: sa.FromClause = sa.select(sa.literal_column("1")).subquery("one")
    for joined_table, condition in (
        (actors, is_actor),
        (_stored, sa.and_(_stored.c.actor_id == actor_id, _stored.c.key == sa.bindparam("key", type_=sa.Text()))),
        (_events, _events.c.id == _event_id),
        *joins,
        (person, sa.true()),
        (_types, sa.and_(_types.c.event_id == _event_id, _types.c.deleted_at.is_(None))),
    ):
        joined = joined.outerjoin(joined_table, condition)
    situation = (sa.func.clock_timestamp(), person.c.tickets, _first_hold_ends, _has_waiting)
    stored = (_stored.c.request_hash, _stored.c.response)
    columns = (*situation, *stored, *first, *_events.c, *last, *_types.c)
    return Prepared(name, sa.select(*columns).select_from(joined).order_by(_types.c.position, _types.c.id))


_FACTS = _facts(
    "facts_of_order",
    sa.join(_logins, _users, _users.c.id == _logins.c.user_id),
    sa.and_(_logins.c.id == sa.bindparam("login_id", type_=sa.Uuid()), *is_logged_in()),
    _users.c.id,
    COUNTED.c.user_id == _users.c.id,
    (_members, sa.and_(_members.c.organization_id == _events.c.organization_id, _members.c.user_id == _users.c.id)),
    (_team, sa.and_(_team.c.event_id == _event_id, _team.c.user_id == _users.c.id, _team.c.is_accepted)),
    first=(_members.c.role, _members.c.is_active, _team.c.role, *_users.c),
)
_FACTS_OF_KEY = _facts(
    "facts_of_order_with_key",
    _api_keys,
    is_usable(sa.bindparam("secret_hash", type_=sa.LargeBinary())),
    _api_keys.c.id,
    IS_OF_MAILBOX,
    (
        _bookings,
        sa.and_(
            _bookings.c.organization_id == _api_keys.c.organization_id,
            _bookings.c.external_id == sa.bindparam("external_id", type_=sa.Text()),
        ),
    ),
    first=tuple(_api_keys.c),
    last=(*(getattr(Booking, name).expression for name in _COMPUTED), *_bookings.c),
)
