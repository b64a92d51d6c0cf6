"""A booking in one statement: PostgreSQL locks the event, decides, counts, and writes booking, mail and key.

The statement commits by itself, so the lock is held for no round trip: of many buyers of one event at the same moment,
each waits for PostgreSQL alone.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from bookings_api.bookings.rules import is_bookable
from bookings_api.calendar.payloads import EVENT_PAYLOAD
from bookings_api.database.base import Base
from bookings_api.database.prepared import Prepared, read_row
from bookings_api.models import Booking, BookingStatus, Event, IdempotencyKey, Login, OutboxEmail, User, utcnow
from bookings_api.models.booking import new_reference
from bookings_api.models.login import is_logged_in


@dataclass(frozen=True)
class Placed:
    """What became of an order: booked; or the login is not what it was; or another request has its key at this moment,
    or had it, and is stored.

    Of an order that is not booked, `event` is the event as it was when the statement began; None: there was none.
    """

    is_booked: bool
    is_login_good: bool
    is_key_free: bool
    stored_key: IdempotencyKey | None
    event: Event | None


def new_booking(
    user: User,
    *,
    event_id: UUID,
    ticket_count: int = 1,
    guest_name: str | None = None,
    guest_email: str | None = None,
) -> Booking:
    """A booking for `user` that is not written yet, in the name of the guest or, by default, of the account."""
    now = utcnow()
    return Booking.of_row(
        id=uuid7(),
        reference=new_reference(),
        event_id=event_id,
        user_id=user.id,
        ticket_count=ticket_count,
        guest_name=guest_name or user.name or user.email,
        guest_email=guest_email or user.email,
        status=BookingStatus.CONFIRMED,
        version=1,
        created_at=now,
        updated_at=now,
        cancelled_at=None,
    )


def place(user: User, login_id: UUID, booking: Booking, mail: dict[str, Any], key: IdempotencyKey | None) -> Placed:
    """Write these rows, of which no session knows, if the event has the tickets; all of them or none.

    And only if the login is good, and the account active and called as `user` says: what was read of them may be old.

    The mail goes to the guest; the facts of the event are added to its own. Without a key the order is done as often as
    it comes. Raises `IntegrityError` when another request with the key was committed at this very moment.
    """
    [(is_booked, is_login_good, is_key_free, request_hash, answer, *event)] = _PLACE(
        login_id=login_id,
        **_values(vars(user), _USER),
        **_values(vars(booking), _BOOKING),
        **_values(mail, _MAIL),
        **_values(vars(key) if key else {}, _KEY),
    )
    stored = IdempotencyKey.of_row(request_hash=request_hash, response=answer) if request_hash else None
    return Placed(is_booked, is_login_good, is_key_free, stored, read_row(Event, event) if event[0] else None)


def _columns(model: type[Base], *names: str) -> dict[str, sa.BindParameter[Any]]:
    """Columns that the caller has values for, by name; the others have defaults in the database."""
    table = sa.inspect(model).local_table
    return {name: sa.bindparam(f"{table}_{name}", type_=table.c[name].type) for name in names}


def _values(row: dict[str, Any], columns: dict[str, sa.BindParameter[Any]]) -> dict[str, Any]:
    return {parameter.key: row.get(name) for name, parameter in columns.items()}


_USER = _columns(User, "id", "email", "name")
_BOOKING = _columns(Booking, "id", "reference", "event_id", "ticket_count", "guest_name", "guest_email", "created_at")
_MAIL = _columns(OutboxEmail, "id", "kind", "payload", "request_id", "message_id")
_KEY = _columns(IdempotencyKey, "key", "request_hash", "response")


def _statement() -> sa.Select[Any]:
    now, tickets = _BOOKING["created_at"], _BOOKING["ticket_count"]
    login = (
        sa.select(Login.id)
        .join(User, User.id == Login.user_id)
        .where(Login.id == sa.bindparam("login_id", type_=sa.Uuid()), *is_logged_in())
        .where(User.id == _USER["id"], User.email == _USER["email"], User.name.is_not_distinct_from(_USER["name"]))
        .cte("login")
    )
    # one request at a time may work on a key; the lock ends with the statement
    name = sa.cast(_USER["id"], sa.Text) + " " + _KEY["key"]
    lock = sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(name, 0))
    hold = sa.select(sa.func.coalesce(lock, sa.true()).label("is_key_free")).cte("hold")
    known = (
        sa.select(IdempotencyKey.request_hash, IdempotencyKey.response)
        .where(IdempotencyKey.user_id == _USER["id"], IdempotencyKey.key == _KEY["key"])
        .cte("known")
    )
    taken = (
        sa.update(Event)
        .where(Event.id == _BOOKING["event_id"], *is_bookable(now, tickets))
        .where(sa.exists().select_from(login))
        .where(sa.select(hold.c.is_key_free).scalar_subquery(), ~sa.exists().select_from(known))
        .values(tickets_booked=Event.tickets_booked + tickets, updated_at=now)
        .returning(*(getattr(Event, name) for name in EVENT_PAYLOAD.values()))
        .cte("taken")
    )
    event_payload = [
        part for fact, column in EVENT_PAYLOAD.items() for part in (sa.literal_column(f"'{fact}'"), taken.c[column])
    ]
    user = {"user_id": _USER["id"]}
    booking = _BOOKING | user | {"updated_at": now, "event_version": taken.c.version}
    mail: dict[str, Any] = _MAIL | user | {"booking_id": _BOOKING["id"], "recipient": _BOOKING["guest_email"]}
    mail |= {"payload": _MAIL["payload"].concat(sa.func.jsonb_build_object(*event_payload))}
    written = [
        _insert(Booking, booking, taken),
        _insert(OutboxEmail, mail, taken),
        _insert(IdempotencyKey, _KEY | user, taken, _KEY["key"].is_not(None)),
    ]
    is_booked, is_login_good = sa.exists().select_from(taken), sa.exists().select_from(login)
    refused_by = sa.inspect(Event).local_table.alias("refused_by")
    return (
        sa.select(is_booked, is_login_good, hold.c.is_key_free, known.c.request_hash, known.c.response, *refused_by.c)
        .select_from(
            hold.outerjoin(known, sa.true()).outerjoin(
                refused_by, sa.and_(refused_by.c.id == _BOOKING["event_id"], ~is_booked)
            )
        )
        .add_cte(*written)
    )


def _insert(model: type[Base], columns: dict[str, Any], taken: sa.CTE, *conditions: sa.ColumnElement[bool]) -> sa.CTE:
    """One row, if tickets were taken."""
    row = sa.select(*columns.values()).select_from(taken).where(*conditions)
    return sa.insert(model).from_select(list(columns), row, include_defaults=False).cte(f"new_{model.__tablename__}")


_PLACE = Prepared("place_booking", _statement())
