"""Queries that read ticket types."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order
from bookings_api.database.prepared import Prepared, read_row
from bookings_api.errors import TicketTypeNotFound
from bookings_api.events.queries import get_event, require_visible
from bookings_api.inventory.availability import ticket_types_of
from bookings_api.models import Booking, BookingItem, Event, TicketType
from bookings_api.permissions import Action, Actor, may, require

_waiting = (Booking.event_id == sa.bindparam("event_id", type_=sa.Uuid()), Booking.is_waiting)
_waiting_for_event = sa.select(sa.func.coalesce(sa.func.sum(Booking.ticket_count), 0, type_=sa.BigInteger)).where(
    *_waiting
)
_waiting_for_type = (
    sa.select(sa.func.coalesce(sa.func.sum(BookingItem.count), 0, type_=sa.BigInteger))
    .join(Booking, Booking.id == BookingItem.booking_id)
    .where(*_waiting, BookingItem.ticket_type_id == TicketType.id)
)
_CAPACITY = Prepared(
    "capacity_of_event",
    sa.select(
        _waiting_for_event.scalar_subquery(),
        _waiting_for_type.correlate(TicketType).scalar_subquery(),
        *Event.__table__.c,
        *TicketType.__table__.c,
    )
    .join_from(Event.__table__, TicketType.__table__, TicketType.event_id == Event.id)
    .where(Event.id == sa.bindparam("event_id", type_=sa.Uuid()), TicketType.deleted_at.is_(None))
    .order_by(TicketType.position, TicketType.id),
)
_EVENT = len(Event.__table__.c)

_TYPES = sa.select(TicketType).where(TicketType.event_id == sa.bindparam("event_id"), TicketType.deleted_at.is_(None))
# Cursors need an order that never changes.
_ORDERS = [Order(TicketType.position, TicketType.id, name="position"), Order(TicketType.id, name="id")]
_ALL_TYPES = ListQuery(_TYPES, filters={}, orders=_ORDERS)
_PUBLIC_TYPES = ListQuery(_TYPES.where(~TicketType.is_hidden), filters={}, orders=_ORDERS)


def types_of(event_id: UUID, *, viewer: Actor | None, sort: str) -> Listing:
    """Return an event's ticket types, sorted by position. Omits hidden types unless `viewer` may see them.

    Raises `EventNotFound`.
    """
    event = get_event(event_id, viewer=viewer)
    return (_ALL_TYPES if may(viewer, Action.SEE_HIDDEN_TYPES, event) else _PUBLIC_TYPES)(sort, event_id=event_id)


def get_type(event_id: UUID, type_id: UUID, *, viewer: Actor | None) -> TicketType:
    """Return a ticket type. Raises `EventNotFound`, or `TicketTypeNotFound` unless `viewer` may see the type."""
    return find_type(get_event(event_id, viewer=viewer), type_id, viewer=viewer)


def find_type(event: Event, type_id: UUID, *, viewer: Actor | None) -> TicketType:
    """Return a ticket type of `event`. Raises `TicketTypeNotFound` unless `viewer` may see the type."""
    for found in ticket_types_of(event):
        if found.id == type_id and (not found.is_hidden or may(viewer, Action.SEE_HIDDEN_TYPES, event)):
            return found
    raise TicketTypeNotFound


def capacity_of(actor: Actor, event_id: UUID) -> dict[str, Any]:
    """Return the ticket counts of an event and its types, all read at the same moment.

    Raises `EventNotFound` or `PermissionDenied`.
    """
    rows = _CAPACITY(event_id=event_id)
    event = require_visible(read_row(Event, rows[0][2 : _EVENT + 2]) if rows else None, viewer=actor)
    require(actor, Action.SEE_BOOKINGS, event)
    left = event.tickets_available
    types = [(read_row(TicketType, row[_EVENT + 2 :]), row[1]) for row in rows]
    return {
        "capacity": event.capacity,
        "tickets_booked": event.tickets_booked,
        "tickets_held": event.tickets_held,
        "tickets_available": left,
        "tickets_waiting": rows[0][0],
        "ticket_types": [
            {
                "ticket_type_id": one.id,
                "name": one.name,
                "capacity": one.capacity,
                "tickets_booked": one.tickets_booked,
                "tickets_held": one.tickets_held,
                "tickets_available": one.limited(left),
                "tickets_waiting": waiting,
            }
            for one, waiting in types
        ],
    }
