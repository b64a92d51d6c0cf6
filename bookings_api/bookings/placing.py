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
from bookings_api.mail.messages import EVENT_FACTS
from bookings_api.models import Booking, BookingStatus, Event, IdempotencyKey, OutboxMail, User, utcnow
from bookings_api.models.base import Base
from bookings_api.models.booking import new_reference
from bookings_api.prepared import Prepared


@dataclass(frozen=True)
class Placed:
    """What became of an order: booked; or another request has its key at this moment, or had it, and is stored."""

    is_booked: bool
    is_key_free: bool
    stored_key: IdempotencyKey | None


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
    return Booking(
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
    )


def place(booking: Booking, mail: OutboxMail, key: IdempotencyKey | None) -> Placed:
    """Write these rows, of which no session knows, if the event has the tickets; all of them or none.

    The facts of the event are added to those of the mail. Without a key the order is done as often as it comes. Raises
    `IntegrityError` when another request with the key was committed at this very moment.
    """
    no_key = IdempotencyKey(user_id=booking.user_id, key=None, request_hash=None, answer=None)
    found = _PLACE(**_values(booking, _BOOKING), **_values(mail, _MAIL), **_values(key or no_key, _KEY)).one()
    stored = IdempotencyKey(request_hash=found.request_hash, answer=found.answer) if found.request_hash else None
    return Placed(found.is_booked, found.is_key_free, stored)


def _columns(model: type[Base], *names: str) -> dict[str, sa.BindParameter[Any]]:
    """Columns that the caller has values for, by name; the others have defaults in the database."""
    table = sa.inspect(model).local_table
    return {name: sa.bindparam(f"{table}_{name}", type_=table.c[name].type) for name in names}


def _values(row: Base, columns: dict[str, sa.BindParameter[Any]]) -> dict[str, Any]:
    return {parameter.key: getattr(row, name) for name, parameter in columns.items()}


_BOOKING = _columns(
    Booking, "id", "reference", "event_id", "user_id", "ticket_count", "guest_name", "guest_email", "created_at",
    "updated_at",
)  # fmt: skip
_MAIL = _columns(
    OutboxMail, "id", "kind", "recipient", "facts", "booking_id", "user_id", "request_id", "message_id"
)  # fmt: skip
_KEY = _columns(IdempotencyKey, "user_id", "key", "request_hash", "answer")


def _statement() -> sa.Select[Any]:
    now, tickets = _BOOKING["created_at"], _BOOKING["ticket_count"]
    # one request at a time may work on a key; the lock ends with the statement
    name = sa.cast(_KEY["user_id"], sa.Text) + " " + _KEY["key"]
    lock = sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(name, 0))
    hold = sa.select(sa.func.coalesce(lock, sa.true()).label("is_key_free")).cte("hold")
    known = (
        sa.select(IdempotencyKey.request_hash, IdempotencyKey.answer)
        .where(IdempotencyKey.user_id == _KEY["user_id"], IdempotencyKey.key == _KEY["key"])
        .cte("known")
    )
    taken = (
        sa.update(Event)
        .where(Event.id == _BOOKING["event_id"], *is_bookable(now, tickets))
        .where(sa.select(hold.c.is_key_free).scalar_subquery(), ~sa.exists().select_from(known))
        .values(tickets_booked=Event.tickets_booked + tickets, updated_at=now)
        .returning(*(getattr(Event, name) for name in EVENT_FACTS.values()))
        .cte("taken")
    )
    event_facts = [
        part for fact, column in EVENT_FACTS.items() for part in (sa.literal_column(f"'{fact}'"), taken.c[column])
    ]
    mail = _MAIL | {"facts": _MAIL["facts"].concat(sa.func.jsonb_build_object(*event_facts))}
    written = [
        _insert(Booking, _BOOKING | {"event_version": taken.c.version}, taken),
        _insert(OutboxMail, mail, taken),
        _insert(IdempotencyKey, _KEY, taken, _KEY["key"].is_not(None)),
    ]
    return (
        sa.select(
            hold.c.is_key_free, known.c.request_hash, known.c.answer, sa.exists().select_from(taken).label("is_booked")
        )
        .select_from(hold.outerjoin(known, sa.true()))
        .add_cte(*written)
    )


def _insert(model: type[Base], columns: dict[str, Any], taken: sa.CTE, *conditions: sa.ColumnElement[bool]) -> sa.CTE:
    """One row, if tickets were taken."""
    row = sa.select(*columns.values()).select_from(taken).where(*conditions)
    return sa.insert(model).from_select(list(columns), row, include_defaults=False).cte(f"new_{model.__tablename__}")


_PLACE = Prepared("place_booking", _statement())
