"""Changes the number and the types of a booking's tickets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.bookings.booking_lock import require_admitted
from bookings_api.bookings.items import OrderedItem, exceeded_limits, items_of, offered, raise_first, sales_closed
from bookings_api.bookings.rules import require_open
from bookings_api.bookings.writes import insert_items
from bookings_api.database.prepared import run
from bookings_api.errors import InvalidFields, OthersWaiting, PaymentRequired, SalesClosed, SoldOut
from bookings_api.extensions import db
from bookings_api.inventory.availability import Item, TicketsLeft, shortages, ticket_types_of
from bookings_api.inventory.counters import release, take
from bookings_api.inventory.person_limit import require_within_person_limit, tickets_of_person
from bookings_api.inventory.queue import queue_of
from bookings_api.models import Booking, BookingItem, BookingStatus, Event, TicketType
from bookings_api.models.booking import mailbox_of


def change_tickets(
    booking: Booking, event: Event, changes: Mapping[str, Any], *, by_organizer: bool, now: datetime
) -> bool:
    """Change a locked booking's tickets to the `items` or `ticket_count` in `changes`. Returns whether they changed.

    Added tickets must be available and, unless `by_organizer` is true, on sale. Tickets can always be removed. On the
    waiting list, added tickets need not be available, but move the booking to the end of the list. If tickets of a type
    are added, all tickets of the type get its current price. Raises `PermissionDenied`, `EventNotOpen`,
    `InvalidFields`, `SalesClosed`, `TooManyTickets`, `PaymentRequired`, `OthersWaiting` or `SoldOut`.
    """
    before, wanted = booking.counts, _wanted(booking, changes)
    if wanted == before:
        return False
    added = {one: more for one, count in wanted.items() if (more := count - before.get(one, 0)) > 0}
    removed = {one: fewer for one, count in before.items() if (fewer := count - wanted.get(one, 0)) > 0}
    types = {one.id: one for one in ticket_types_of(event)}
    if added:
        _require_more(
            booking,
            event,
            list(types.values()),
            wanted,
            added,
            returned=sum(removed.values()),
            field="items" if "items" in changes else "ticket_count",
            by_organizer=by_organizer,
            now=now,
        )
    former = {UUID(item["ticket_type_id"]): item["price"] for item in booking.items}
    prices = {one: types[one].price if one in added else former[one] for one in wanted}
    items = [Item(types[one], count, prices[one]) for one, count in wanted.items()]
    amount_due = sum(item.count * item.price for item in items)
    if booking.status is BookingStatus.CONFIRMED and any(types[one].price or former.get(one) for one in added):
        raise PaymentRequired("A confirmed booking cannot get more tickets that have a price. Book them separately.")
    if booking.status is BookingStatus.WAITLISTED and added:
        booking.waitlisted_at = now
    # releases tickets first, because the event may be sold out
    for statement in [*release(event, removed, booking.status), *take(event, added, booking.status)]:
        run(statement)
    db.session.execute(sa.delete(BookingItem).where(BookingItem.booking_id == booking.id))
    for statement in insert_items(booking.id, items):
        run(statement)
    booking.ticket_count = sum(wanted.values())
    booking.amount_due = amount_due
    booking.currency = booking.currency or (event.currency if amount_due else None)
    booking.accept_fewer = _smallest(booking, wanted)
    db.session.flush()
    db.session.refresh(booking, ["items"])
    return True


def require_allowed_for_person(booking: Booking, event: Event, *, former_count: int, former_guest: str) -> None:
    """Raise `TooManyForPerson` if a changed booking gives a person more tickets than the event allows.

    A booking made with an API key counts for its guest, so replacing the guest can exceed the limit as well. A booking
    on the waiting list has no tickets yet, so all of its tickets are additional.
    """
    if event.max_tickets_per_person is None:
        return
    has_new_person = booking.user_id is None and mailbox_of(former_guest) != mailbox_of(booking.guest_email)
    more = booking.ticket_count - (0 if has_new_person else former_count)
    if more <= 0:
        return
    db.session.flush()
    booked = tickets_of_person(booking)
    if booking.status is BookingStatus.WAITLISTED:
        require_within_person_limit(event, booking.ticket_count, booked=booked)
    else:
        require_within_person_limit(event, more, booked=booked - more)


def _smallest(booking: Booking, wanted: Mapping[UUID, int]) -> int | None:
    """Return the new `accept_fewer`. A party with tickets of several types needs all of them."""
    if booking.accept_fewer is None or len(wanted) > 1:
        return None
    return min(booking.accept_fewer, sum(wanted.values()))


def _wanted(booking: Booking, changes: Mapping[str, Any]) -> dict[UUID, int]:
    """Return the requested number of tickets of each type, by the ID of the type."""
    if "items" in changes:
        return {item.ticket_type_id: item.count for item in changes["items"]}
    before = booking.counts
    count = changes.get("ticket_count", booking.ticket_count)
    if count == booking.ticket_count:
        return before
    if len(before) > 1:
        raise InvalidFields({"ticket_count": "The booking has tickets of several types. Change its items instead."})
    return dict.fromkeys(before, count)


def _require_more(
    booking: Booking,
    event: Event,
    types: Sequence[TicketType],
    wanted: Mapping[UUID, int],
    added: Mapping[UUID, int],
    *,
    returned: int,
    field: str,
    by_organizer: bool,
    now: datetime,
) -> None:
    if not by_organizer:
        require_admitted(booking, event)
    ordered = [OrderedItem(one, count) for one, count in added.items()]
    on_offer = offered(types, by_organizer=by_organizer)
    if field == "ticket_count" and added.keys().isdisjoint(one.id for one in on_offer):
        raise SalesClosed("Sales of the booking's ticket type have closed.")
    items = items_of(on_offer, ordered)
    if not by_organizer:
        require_open(event, now=now)
        raise_first(sales_closed(items, now=now))
    # existing tickets stay valid even if a limit is lowered
    grows = sum(added.values()) > returned
    as_wanted = [Item(item.ticket_type, wanted[item.ticket_type.id], item.price) for item in items]
    raise_first(exceeded_limits(event, as_wanted, total=sum(wanted.values()) if grows else 0, field=field))
    left = TicketsLeft(event, types, returned=returned)
    if booking.status is BookingStatus.WAITLISTED:
        if not left.could_ever_serve(wanted, smallest=_smallest(booking, wanted)):
            raise SoldOut(event.tickets_available)
        return
    raise_first(shortages(event, items, total=sum(added.values()), returned=returned))
    left.set_aside(queue_of(event).claims)
    if left.largest_part(added) is None:
        raise OthersWaiting
