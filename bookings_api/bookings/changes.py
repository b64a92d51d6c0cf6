"""Changes the number and the types of a booking's tickets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.bookings.items import (
    Item,
    OrderedItem,
    counts_of,
    items_of,
    offered,
    require_available,
    require_on_sale,
    require_within_limits,
)
from bookings_api.bookings.person_limit import require_within_person_limit, tickets_of_person
from bookings_api.bookings.rules import require_open
from bookings_api.bookings.writes import insert_items, release, take
from bookings_api.database.prepared import run
from bookings_api.errors import InvalidFields, SalesClosed
from bookings_api.events.queries import ticket_types_of
from bookings_api.extensions import db
from bookings_api.models import Booking, BookingItem, Event
from bookings_api.models.booking import mailbox_of


def change_tickets(
    booking: Booking, event: Event, changes: Mapping[str, Any], *, by_organizer: bool, now: datetime
) -> bool:
    """Change a locked booking's tickets to the `items` or `ticket_count` in `changes`. Returns whether they changed.

    Added tickets must be available and, unless `by_organizer` is true, on sale. Tickets can always be removed. Raises
    `EventNotOpen`, `InvalidFields`, `SalesClosed`, `TooManyTickets` or `SoldOut`.
    """
    before, wanted = counts_of(booking), _wanted(booking, changes)
    if wanted == before:
        return False
    added = {one: more for one, count in wanted.items() if (more := count - before.get(one, 0)) > 0}
    removed = {one: fewer for one, count in before.items() if (fewer := count - wanted.get(one, 0)) > 0}
    if added:
        _require_more(
            event,
            wanted,
            added,
            returned=sum(removed.values()),
            field="items" if "items" in changes else "ticket_count",
            by_organizer=by_organizer,
            now=now,
        )
    # releases tickets first, because the event may be sold out
    for statement in [*release(event, removed), *take(event, added)]:
        run(statement)
    db.session.execute(sa.delete(BookingItem).where(BookingItem.booking_id == booking.id))
    for statement in insert_items(booking.id, wanted):
        run(statement)
    booking.ticket_count = sum(wanted.values())
    db.session.flush()
    db.session.refresh(booking, ["items"])
    return True


def require_allowed_for_person(booking: Booking, event: Event, *, former_count: int, former_guest: str) -> None:
    """Raise `TooManyForPerson` if a changed booking gives a person more tickets than the event allows.

    A booking made with an API key counts for its guest, so replacing the guest can exceed the limit as well.
    """
    has_new_person = booking.user_id is None and mailbox_of(former_guest) != mailbox_of(booking.guest_email)
    more = booking.ticket_count - (0 if has_new_person else former_count)
    if event.max_tickets_per_person is None or more <= 0:
        return
    db.session.flush()
    require_within_person_limit(event, more, booked=tickets_of_person(booking) - more)


def _wanted(booking: Booking, changes: Mapping[str, Any]) -> dict[UUID, int]:
    """Return the requested number of tickets of each type, by the ID of the type."""
    if "items" in changes:
        return {item.ticket_type_id: item.count for item in changes["items"]}
    before = counts_of(booking)
    count = changes.get("ticket_count", booking.ticket_count)
    if count == booking.ticket_count:
        return before
    if len(before) > 1:
        raise InvalidFields({"ticket_count": "The booking has tickets of several types. Change its items instead."})
    return dict.fromkeys(before, count)


def _require_more(
    event: Event,
    wanted: Mapping[UUID, int],
    added: Mapping[UUID, int],
    *,
    returned: int,
    field: str,
    by_organizer: bool,
    now: datetime,
) -> None:
    ordered = [OrderedItem(one, count) for one, count in added.items()]
    types = offered(ticket_types_of(event), by_organizer=by_organizer)
    if field == "ticket_count" and added.keys().isdisjoint(one.id for one in types):
        raise SalesClosed("Sales of the booking's ticket type have closed.")
    items = items_of(types, ordered)
    if not by_organizer:
        require_open(event, now=now)
        require_on_sale(items, now=now)
    # existing tickets stay valid even if a limit is lowered
    grows = sum(added.values()) > returned
    as_wanted = [Item(item.ticket_type, wanted[item.ticket_type.id]) for item in items]
    require_within_limits(event, as_wanted, total=sum(wanted.values()) if grows else 0, field=field)
    require_available(event, items, returned=returned)
