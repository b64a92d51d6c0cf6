"""The waiting list of an event: parties that wait for tickets, in order of arrival.

Every release of tickets serves the list in the same transaction, so no party that could be served has to wait.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import defer, joinedload
from sqlalchemy.orm.attributes import set_committed_value

from bookings_api.database.prepared import Prepared, run
from bookings_api.database.transactions import Transaction, require_transaction
from bookings_api.extensions import db
from bookings_api.inventory.access import IS_REVOKED
from bookings_api.inventory.availability import TicketsLeft, ticket_types_of
from bookings_api.inventory.counters import take
from bookings_api.inventory.locking import lock_event
from bookings_api.inventory.notices import notify
from bookings_api.inventory.person_limit import tickets_of_person
from bookings_api.models import (
    Booking,
    BookingItem,
    BookingStatus,
    EmailKind,
    Event,
    EventStatus,
    WaitlistPolicy,
)
from bookings_api.models.booking import mailbox_of

BATCH = 500

_IN_ORDER = (Booking.waitlisted_at, Booking.id)
# the cost of reading the position of every party grows with the square of the length of the list
_WITHOUT_POSITION = (joinedload(Booking.user), defer(Booking.position), defer(Booking.tickets_ahead))
_smallest_count = sa.func.coalesce(Booking.accept_fewer, Booking.ticket_count)


class _Grant(NamedTuple):
    """Tickets for a waiting party."""

    booking: Booking
    counts: Mapping[UUID, int]


def serve_waiting_list(tx: Transaction, event: Event, *, now: datetime) -> None:
    """Give a locked event's remaining tickets to its waiting list, and notify the guests.

    A promoted booking is held if it must be paid, if it has `hold_minutes`, or if the event has
    `waitlist_offer_minutes`. Otherwise, it is confirmed.
    """
    require_transaction()
    if event.status is not EventStatus.PUBLISHED or event.booking_ends_at <= now or not has_waiting(event):
        return
    db.session.flush()
    db.session.refresh(event, ["tickets_booked", "tickets_held"])
    grants = list(_grants(event, TicketsLeft(event, ticket_types_of(event))))
    for start in range(0, len(grants), BATCH):
        _promote(tx, event, grants[start : start + BATCH], now=now)
    if grants:
        db.session.refresh(event, ["tickets_booked", "tickets_held", "updated_at"])


def close_waiting_list(tx: Transaction, event: Event) -> bool:
    """Expire the first batch of waiting bookings, and notify the guests. Returns false if the list was empty."""
    require_transaction()
    query = sa.select(Booking).where(Booking.event_id == event.id, Booking.is_waiting).options(*_WITHOUT_POSITION)
    parties = db.session.scalars(query.order_by(*_IN_ORDER).limit(BATCH)).all()
    for party in parties:
        party.status = BookingStatus.EXPIRED
        party.version += 1
        for name in ("position", "tickets_ahead"):
            set_committed_value(party, name, None)
    notify(tx, EmailKind.BOOKING_EXPIRED, event, parties)
    return bool(parties)


@contextmanager
def access_restored(tx: Transaction, user_id: UUID, organization_id: UUID | None = None) -> Iterator[None]:
    """Lock the events that a person waits for, in one organization or in all, and serve their waiting lists afterwards.

    The block restores the person's access. Without this, a new order could get tickets that were left only because the
    person had no access.
    """
    query = sa.select(Booking.event_id).where(Booking.user_id == user_id, Booking.is_waiting)
    if organization_id is not None:
        query = query.where(Booking.event.has(Event.organization_id == organization_id))
    event_ids = db.session.scalars(query.distinct().order_by(Booking.event_id)).all()
    locked = [lock_event(event_id, include_deleted=True) for event_id in event_ids]
    yield
    for event, now in locked:
        serve_waiting_list(tx, event, now=now)


def has_waiting(event: Event) -> bool:
    """Whether any party waits for tickets."""
    query = sa.select(Booking.id).where(Booking.event_id == event.id, Booking.is_waiting).limit(1)
    return db.session.scalars(query).one_or_none() is not None


def _grants(event: Event, left: TicketsLeft) -> Iterator[_Grant]:
    """Yield what each party gets, in order of arrival.

    With the policy `strict`, tickets are set aside for a party that cannot be served yet, as far as they are left.
    """
    is_strict = event.waitlist_policy is WaitlistPolicy.STRICT
    people = _People(event)
    for party in _parties(event, left, is_strict=is_strict):
        allowed = people.allowed(party)
        wanted = party.counts
        is_too_large = not left.could_ever_serve(wanted, smallest=party.accept_fewer)
        if is_too_large or (allowed is not None and allowed < party.smallest_count):
            continue  # a party that cannot be served blocks no other party
        counts = left.largest_part(wanted, smallest=party.accept_fewer, at_most=allowed)
        if counts:
            left.take(counts)
            people.count(party, sum(counts.values()))
            yield _Grant(party, counts)
        elif is_strict:
            left.set_aside(wanted if party.accept_fewer is None else dict.fromkeys(wanted, party.accept_fewer))
        if left.total <= 0:
            return


def _parties(event: Event, left: TicketsLeft, *, is_strict: bool) -> Iterator[Booking]:
    """Yield the waiting parties in order of arrival, in batches.

    Unless the policy is `strict`, omits parties that need more than what is left when their batch is read.
    """
    query = sa.select(Booking).join(Booking.event).options(*_WITHOUT_POSITION)
    query = query.where(Booking.event_id == event.id, Booking.is_waiting, ~IS_REVOKED).order_by(*_IN_ORDER).limit(BATCH)
    after = None
    while True:
        batch = query if after is None else query.where(sa.tuple_(*_IN_ORDER) > after)
        if not is_strict:
            needs_sold_out = sa.exists().where(
                BookingItem.booking_id == Booking.id, BookingItem.ticket_type_id.in_(left.sold_out_types)
            )
            batch = batch.where(_smallest_count <= left.total, ~needs_sold_out)
        parties = db.session.scalars(batch, execution_options={"populate_existing": True}).all()
        yield from parties
        if len(parties) < BATCH:
            return
        last = parties[-1]
        after = sa.tuple_(sa.literal(last.waitlisted_at), sa.literal(last.id))


class _People:
    """Counts the tickets of the people on the waiting list, if the event has a limit per person."""

    def __init__(self, event: Event) -> None:
        self._limit = event.max_tickets_per_person
        self._tickets: dict[UUID | str, int] = {}

    def allowed(self, party: Booking) -> int | None:
        """Return how many tickets the party may get, or None if there is no limit."""
        if self._limit is None:
            return None
        person = _person(party)
        if person not in self._tickets:
            self._tickets[person] = tickets_of_person(party)
        return self._limit - self._tickets[person]

    def count(self, party: Booking, tickets: int) -> None:
        """Remember tickets that the party gets."""
        if self._limit is not None:
            self._tickets[_person(party)] += tickets


def _person(booking: Booking) -> UUID | str:
    return booking.user_id or mailbox_of(booking.guest_email)


def _promote(tx: Transaction, event: Event, grants: list[_Grant], *, now: datetime) -> None:
    """Take the tickets and write all changes of a batch with a few statements."""
    fewer = [booking for booking, counts in grants if counts != booking.counts]
    taken: dict[BookingStatus, Counter[UUID]] = {BookingStatus.CONFIRMED: Counter(), BookingStatus.HELD: Counter()}
    for booking, counts in grants:
        _apply(event, booking, counts, now=now)
        taken[booking.status].update(counts)
    for status, total in taken.items():
        for statement in take(event, total, status):
            run(statement)
    _update(_UPDATE_BOOKINGS, [grant.booking for grant in grants])
    if fewer:  # these have tickets of one type only
        _update(_UPDATE_ITEMS, fewer)
    for status, kind in (
        (BookingStatus.CONFIRMED, EmailKind.BOOKING_CONFIRMED),
        (BookingStatus.HELD, EmailKind.BOOKING_OFFERED),
    ):
        if promoted := [booking for booking, _ in grants if booking.status is status]:
            notify(tx, kind, event, promoted)


def _apply(event: Event, booking: Booking, counts: Mapping[UUID, int], *, now: datetime) -> None:
    """Change the object without marking it as changed, because the session would write the rows one by one."""
    items = [{**item, "count": counts[UUID(item["ticket_type_id"])]} for item in booking.items]
    amount_due = sum(item["count"] * item["price"] for item in items)
    minutes = event.waitlist_offer_minutes or booking.hold_minutes or (event.hold_minutes if amount_due else None)
    for name, value in {
        "items": items,
        "ticket_count": sum(counts.values()),
        "accept_fewer": None,
        "amount_due": amount_due,
        "status": BookingStatus.HELD if minutes else BookingStatus.CONFIRMED,
        "hold_minutes": minutes,
        "held_until": now + timedelta(minutes=minutes) if minutes else None,
        "confirmed_at": None if minutes else now,
        "version": booking.version + 1,
        "event_version": event.version,
        "position": None,
        "tickets_ahead": None,
    }.items():
        set_committed_value(booking, name, value)


# The columns that a promotion changes, with their types. Building a VALUES clause with SQLAlchemy would take longer
# than all other steps of a large promotion together.
_WRITTEN = {
    "ticket_count": "integer",
    "accept_fewer": "integer",
    "amount_due": "bigint",
    "status": "text",
    "hold_minutes": "integer",
    "held_until": "timestamptz",
    "confirmed_at": "timestamptz",
    "version": "integer",
    "event_version": "integer",
}
_ROWS = sa.bindparam("rows", type_=JSONB)
_UPDATE_BOOKINGS = Prepared(
    "promote_bookings",
    sa.text(
        f"UPDATE bookings SET {', '.join(f'{name} = new.{name}' for name in _WRITTEN)}, updated_at = clock_timestamp()"  # noqa: S608 - constants
        " FROM jsonb_to_recordset(:rows) AS new"
        f" (id uuid, {', '.join(f'{name} {kind}' for name, kind in _WRITTEN.items())}) WHERE bookings.id = new.id"
    ).bindparams(_ROWS),
)
_UPDATE_ITEMS = Prepared(
    "promote_items",
    sa.text(
        "UPDATE booking_items SET count = new.ticket_count"
        " FROM jsonb_to_recordset(:rows) AS new (id uuid, ticket_count integer) WHERE booking_id = new.id"
    ).bindparams(_ROWS),
)


def _update(statement: Prepared, bookings: list[Booking]) -> None:
    rows = [{name: getattr(booking, name) for name in ("id", *_WRITTEN)} for booking in bookings]
    run(statement.with_values(rows=rows))
