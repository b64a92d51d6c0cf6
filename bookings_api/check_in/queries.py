"""Queries for the door list."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order, folded, search, words_in
from bookings_api.events.queries import get_event_for
from bookings_api.models import Booking
from bookings_api.permissions import Action, Actor

_NAME = folded(sa.type_coerce(Booking.guest_name, sa.Text))
_DOOR_LIST = ListQuery(
    sa.select(Booking).where(Booking.event_id == sa.bindparam("event_id")),
    filters={
        "status": Booking.status == sa.bindparam("status"),
        **words_in(folded(sa.func.concat_ws(" ", Booking.guest_name, Booking.reference))),
    },
    orders=[Order(_NAME, Booking.id)],
)


def door_list(actor: Actor, event_id: UUID, *, q: str | None = None, **filters: Any) -> Listing:
    """Return an event's bookings, sorted by guest name. Raises `EventNotFound` or `PermissionDenied`.

    The filters are those of `DoorListQuerySchema`.
    """
    event = get_event_for(actor, Action.SEE_DOOR_LIST, event_id)
    return _DOOR_LIST(event_id=event.id, **search(q), **filters)
