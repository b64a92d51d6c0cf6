"""Queries that read ticket types."""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order
from bookings_api.errors import TicketTypeNotFound
from bookings_api.events.queries import get_event, ticket_types_of
from bookings_api.models import Event, TicketType
from bookings_api.permissions import Action, Actor, may

_TYPES = sa.select(TicketType).where(TicketType.event_id == sa.bindparam("event_id"), TicketType.deleted_at.is_(None))
_ORDER = Order(TicketType.position, TicketType.id)
_ALL_TYPES = ListQuery(_TYPES, filters={}, orders=[_ORDER])
_PUBLIC_TYPES = ListQuery(_TYPES.where(~TicketType.is_hidden), filters={}, orders=[_ORDER])


def types_of(event_id: UUID, *, viewer: Actor | None) -> Listing:
    """Return an event's ticket types, sorted by position. Omits hidden types unless `viewer` may see them.

    Raises `EventNotFound`.
    """
    event = get_event(event_id, viewer=viewer)
    return (_ALL_TYPES if may(viewer, Action.SEE_HIDDEN_TYPES, event) else _PUBLIC_TYPES)(event_id=event_id)


def get_type(event_id: UUID, type_id: UUID, *, viewer: Actor | None) -> TicketType:
    """Return a ticket type. Raises `EventNotFound`, or `TicketTypeNotFound` unless `viewer` may see the type."""
    return find_type(get_event(event_id, viewer=viewer), type_id, viewer=viewer)


def find_type(event: Event, type_id: UUID, *, viewer: Actor | None) -> TicketType:
    """Return a ticket type of `event`. Raises `TicketTypeNotFound` unless `viewer` may see the type."""
    for found in ticket_types_of(event):
        if found.id == type_id and (not found.is_hidden or may(viewer, Action.SEE_HIDDEN_TYPES, event)):
            return found
    raise TicketTypeNotFound
