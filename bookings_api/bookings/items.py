"""The rules for ticket types: which types can be booked, when they are on sale, and how many tickets are left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bookings_api.errors import InvalidFields, SalesClosed, SoldOut, TooManyForPerson, TooManyTickets
from bookings_api.models import Booking, Event, TicketType


@dataclass(frozen=True)
class OrderedItem:
    """An item of a request: a number of tickets of one type."""

    ticket_type_id: UUID
    count: int


@dataclass(frozen=True)
class Item:
    """A number of tickets of an existing type."""

    ticket_type: TicketType
    count: int


def counts_of(booking: Booking) -> dict[UUID, int]:
    """Return a booking's number of tickets of each type, by the ID of the type."""
    return {UUID(item["ticket_type_id"]): item["count"] for item in booking.items}


def with_items(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request. Converts `items`, if present, to `OrderedItem` objects."""
    items = [OrderedItem(**item) for item in fields.get("items", ())]
    return {**fields, "items": items} if items else dict(fields)


def offered(types: Sequence[TicketType], *, by_organizer: bool) -> list[TicketType]:
    """Return the ticket types that can be booked. Omits hidden types unless `by_organizer` is true."""
    return [one for one in types if by_organizer or not one.is_hidden]


def only_type(types: Sequence[TicketType], *, now: datetime) -> TicketType:
    """Return the only ticket type on sale. Ignores hidden types.

    Raises `SalesClosed` if there is none, and `InvalidFields` if there are several.
    """
    on_sale = [one for one in types if not one.is_hidden and is_on_sale(one, now=now)]
    if not on_sale:
        raise SalesClosed("No tickets are on sale.")
    if len(on_sale) > 1:
        raise InvalidFields({"items": "Required, because several ticket types are on sale."})
    return on_sale[0]


def items_of(types: Sequence[TicketType], ordered: Sequence[OrderedItem]) -> list[Item]:
    """Return the ordered items with their ticket types. Raises `InvalidFields` for an unknown type."""
    by_id = {one.id: one for one in types}
    unknown = [str(item.ticket_type_id) for item in ordered if item.ticket_type_id not in by_id]
    if unknown:
        raise InvalidFields({"items": f"The event has no ticket type {unknown[0]}."})
    return [Item(by_id[item.ticket_type_id], item.count) for item in ordered]


def is_on_sale(ticket_type: TicketType, *, now: datetime) -> bool:
    """Whether `now` is in the sales window of the ticket type."""
    has_opened = ticket_type.sales_open_at is None or ticket_type.sales_open_at <= now
    return has_opened and (ticket_type.sales_close_at is None or now < ticket_type.sales_close_at)


def require_on_sale(items: Sequence[Item], *, now: datetime) -> None:
    """Raise `SalesClosed` unless the ticket types of all items are on sale."""
    for ticket_type in (item.ticket_type for item in items):
        if ticket_type.sales_open_at and now < ticket_type.sales_open_at:
            raise SalesClosed(f"Sales of {ticket_type.name} open at {ticket_type.sales_open_at:%Y-%m-%dT%H:%M:%SZ}.")
        if ticket_type.sales_close_at and now >= ticket_type.sales_close_at:
            raise SalesClosed(f"Sales of {ticket_type.name} have closed.")


def require_within_limits(event: Event, items: Sequence[Item]) -> None:
    """Raise `TooManyTickets` if a booking with these items would exceed the limit of the event or of a ticket type."""
    if sum(item.count for item in items) > event.max_tickets_per_booking:
        raise TooManyTickets(event.max_tickets_per_booking)
    for item in items:
        ticket_type = item.ticket_type
        if ticket_type.max_per_booking is not None and item.count > ticket_type.max_per_booking:
            raise TooManyTickets(ticket_type.max_per_booking, ticket_type.name)


def require_within_person_limit(event: Event, count: int, *, booked: int) -> None:
    """Raise `TooManyForPerson` if a person with `booked` tickets cannot have `count` more."""
    if event.max_tickets_per_person is not None and booked + count > event.max_tickets_per_person:
        raise TooManyForPerson(event.max_tickets_per_person, booked)


def require_available(event: Event, items: Sequence[Item], *, returned: int = 0) -> None:
    """Raise `SoldOut` unless each ticket type and the event have enough tickets left.

    `returned` is the number of tickets of other types that the same booking gives back.
    """
    for item in items:
        ticket_type = item.ticket_type
        if ticket_type.capacity is None:
            continue
        left = ticket_type.capacity - ticket_type.tickets_booked
        if item.count > left:
            raise SoldOut(min(left, event.tickets_available), ticket_type.name, ticket_type.id)
    if sum(item.count for item in items) > event.tickets_available + returned:
        raise SoldOut(event.tickets_available)
