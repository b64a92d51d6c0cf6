"""The rules for the tickets in an order: ticket types, sales windows and limits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bookings_api.errors import DomainError, InvalidFields, SalesClosed, TooManyTickets
from bookings_api.inventory.availability import Item
from bookings_api.models import Event, TicketType


@dataclass(frozen=True)
class OrderedItem:
    """An item of a request: a number of tickets of one type."""

    ticket_type_id: UUID
    count: int


def with_items(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request. Converts `items`, if present, to `OrderedItem` objects."""
    items = [OrderedItem(**item) for item in fields.get("items", ())]
    return {**fields, "items": items} if items else dict(fields)


def offered(types: Sequence[TicketType], *, by_organizer: bool) -> list[TicketType]:
    """Return the ticket types that can be booked. Omits hidden types unless `by_organizer` is true."""
    return [one for one in types if by_organizer or not one.is_hidden]


def only_type(types: Sequence[TicketType], *, now: datetime) -> TicketType:
    """Return the only ticket type on sale or, even if it is not on sale, the only type. Ignores hidden types.

    Raises `SalesClosed` if several types exist but none is on sale, or if there is no type at all. Raises
    `InvalidFields` if several are on sale.
    """
    visible = [one for one in types if not one.is_hidden]
    if len(visible) == 1:
        return visible[0]
    on_sale = [one for one in visible if is_on_sale(one, now=now)]
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
    counts = {item.ticket_type_id: item.count for item in ordered}
    return [Item(one, counts[one.id], one.price) for one in types if one.id in counts]


def is_on_sale(ticket_type: TicketType, *, now: datetime) -> bool:
    """Whether the ticket type is on sale at `now`."""
    return _closed(ticket_type, now=now) is None


def sales_closed(items: Iterable[Item], *, now: datetime) -> Iterator[SalesClosed]:
    """Yield an error for each item whose ticket type is not on sale."""
    for item in items:
        if reason := _closed(item.ticket_type, now=now):
            yield SalesClosed(reason)


def exceeded_limits(event: Event, items: Iterable[Item], *, total: int, field: str) -> Iterator[TooManyTickets]:
    """Yield an error if `total` exceeds the event's limit per booking, and for each item that exceeds its type's limit.

    `field` is the request field that the errors name.
    """
    if total > event.max_tickets_per_booking:
        yield TooManyTickets(event.max_tickets_per_booking, field=field)
    for item in items:
        limit = item.ticket_type.max_per_booking
        if limit is not None and item.count > limit:
            yield TooManyTickets(limit, item.ticket_type.name, field=field)


def raise_first(errors: Iterable[DomainError]) -> None:
    """Raise the first error, if there is one."""
    for error in errors:
        raise error


def _closed(ticket_type: TicketType, *, now: datetime) -> str | None:
    """Return why the ticket type is not on sale, or None if it is on sale."""
    if ticket_type.sales_open_at and now < ticket_type.sales_open_at:
        return f"Sales of {ticket_type.name} open at {ticket_type.sales_open_at:%Y-%m-%dT%H:%M:%SZ}."
    if ticket_type.sales_close_at and now >= ticket_type.sales_close_at:
        return f"Sales of {ticket_type.name} have closed."
    return None
