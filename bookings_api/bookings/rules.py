"""The rules for booking tickets and changing bookings.

The rules only evaluate data that the caller has already read, usually under the event's lock. Errors are raised in a
fixed order, so that the same situation always gets the same response.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from bookings_api.bookings.items import exceeded_limits, items_of, offered, only_type, sales_closed
from bookings_api.bookings.order import Facts, Order, Plan
from bookings_api.errors import (
    DomainError,
    EventNotFound,
    EventNotOpen,
    ExternalIdTaken,
    InvalidFields,
    LoginEnded,
    OthersWaiting,
    PermissionDenied,
    SalesClosed,
    SoldOut,
    TooManyForPerson,
    TooManyTickets,
    UnverifiedBuyer,
)
from bookings_api.idempotency import IdempotentRequest
from bookings_api.inventory.availability import Item, TicketsLeft, shortages
from bookings_api.inventory.person_limit import exceeds_person_limit
from bookings_api.inventory.queue import NOBODY
from bookings_api.models import Booking, BookingStatus, Event, EventStatus, IdempotencyKey, Waitlist
from bookings_api.permissions import Action, Actor, may, may_see, require, require_key_may

# Why tickets cannot be booked or added to a booking
REFUSALS = (EventNotOpen, SalesClosed, SoldOut, OthersWaiting, TooManyTickets, TooManyForPerson)


class HoldsExpired(Exception):
    """Expired holds have tickets that could serve the order or a waiting party. They must be ended first."""


def decide(facts: Facts, order: Order, request: IdempotentRequest | None) -> Plan | IdempotencyKey | Booking:
    """Return a plan to book the order, or the result of an earlier identical request.

    The earlier result is a stored response (same `Idempotency-Key`) or a booking (same external ID). Raises the errors
    of `evaluate`, the first error that `evaluate` returns, `LoginEnded` or `IdempotencyKeyReused`.
    """
    if facts.actor is None:
        raise LoginEnded
    require_key_may(facts.actor, Action.MANAGE_BOOKINGS)
    if request and facts.stored:
        return request.replay(facts.stored)
    outcome = evaluate(facts, facts.actor, order)
    if isinstance(outcome, list):
        raise outcome[0]
    return outcome


def evaluate(facts: Facts, actor: Actor, order: Order) -> Plan | Booking | list[DomainError]:
    """Return a plan to book the order, an existing booking with the same external ID, or why the order is refused.

    Raises `InvalidFields`, `EventNotFound`, `PermissionDenied`, `ExternalIdTaken` or `UnverifiedBuyer` if the order
    itself is not acceptable. Raises `HoldsExpired` if expired holds must be ended first.
    """
    _require_fields(order, is_by_key=actor.key is not None)
    event = facts.event
    if event is None or not may_see(actor, event):
        raise EventNotFound
    if order.requires_verified_email and actor.user and not actor.user.email_verified:
        raise UnverifiedBuyer
    if actor.key is not None:
        require(actor, Action.MANAGE_BOOKINGS, event)
        if facts.same_external_id is not None:
            return _same_booking(facts.same_external_id, order)
    if facts.is_admitted is False:
        raise PermissionDenied("The organization does not accept bookings from your account.")
    by_organizer = may(actor, Action.MANAGE_BOOKINGS, event)
    _require_short_hold(event, order, by_organizer=by_organizer)
    items, closed = _ordered(facts, event, order, by_organizer=by_organizer)
    refusals: list[DomainError] = [*closed]
    refusals += _violations(facts, event, order, items)
    if not items:
        return [*refusals, *shortages(event, items, total=order.total)]
    granted = _granted(facts, event, order, items)
    if not refusals and facts.has_expired_holds and (granted != items or facts.has_waiting):
        raise HoldsExpired
    if granted is None and not _may_wait(facts, event, order, items):
        is_left = _granted(replace(facts, queue=NOBODY), event, order, items) is not None
        refusals += [OthersWaiting()] if is_left else shortages(event, items, total=order.total)
    return refusals or _plan(facts, actor, event, order, granted or items, is_waiting=granted is None)


def _ordered(
    facts: Facts, event: Event, order: Order, *, by_organizer: bool
) -> tuple[list[Item], list[EventNotOpen | SalesClosed]]:
    """Return the ordered items, and why none can be booked. The items are empty if it is unclear which are meant.

    Raises `InvalidFields` only if the event is open.
    """
    refusals: list[EventNotOpen | SalesClosed] = []
    try:
        require_open(event, now=facts.now)
    except EventNotOpen as error:
        refusals.append(error)
    types = offered(facts.ticket_types, by_organizer=by_organizer)
    try:
        if order.items is not None:
            return items_of(types, order.items), refusals
        only = only_type(types, now=facts.now)
        return [Item(only, order.ticket_count, only.price)], refusals
    except SalesClosed as error:
        return [], [*refusals, error]
    except InvalidFields:
        if not refusals:
            raise
        return [], refusals


def _violations(facts: Facts, event: Event, order: Order, items: list[Item]) -> Iterator[DomainError]:
    """Yield an error for each ticket type that is not on sale, and for each limit that the order exceeds."""
    yield from sales_closed(items, now=facts.now)
    yield from exceeded_limits(
        event, items, total=order.total, field="ticket_count" if order.items is None else "items"
    )
    if exceeds_person_limit(event, order.total, booked=facts.tickets_of_person):
        yield TooManyForPerson(event.max_tickets_per_person or 0, facts.tickets_of_person)


def _granted(facts: Facts, event: Event, order: Order, items: list[Item]) -> list[Item] | None:
    """Return the tickets that the order gets now, or None if it would have to wait."""
    counts = {item.ticket_type.id: item.count for item in items}
    left = TicketsLeft(event, facts.ticket_types)
    left.set_aside(facts.queue.claims)
    granted = left.largest_part(counts, smallest=order.accept_fewer)
    return None if granted is None else [replace(item, count=granted[item.ticket_type.id]) for item in items]


def _may_wait(facts: Facts, event: Event, order: Order, items: list[Item]) -> bool:
    """Whether the order joins the waiting list. Excludes parties that are too large for the event or a type."""
    if not order.waitlist or event.waitlist is Waitlist.OFF:
        return False
    counts = {item.ticket_type.id: item.count for item in items}
    return TicketsLeft(event, facts.ticket_types).could_ever_serve(counts, smallest=order.accept_fewer)


def _plan(facts: Facts, actor: Actor, event: Event, order: Order, items: list[Item], *, is_waiting: bool) -> Plan:
    is_new_customer = actor.user is not None and facts.is_admitted is None
    plan = Plan(actor, is_new_customer, event, items, facts.now, BookingStatus.CONFIRMED, order.hold_minutes)
    if is_waiting:
        return replace(plan, status=BookingStatus.WAITLISTED)
    if plan.amount_due or order.hold_minutes:
        return replace(plan, status=BookingStatus.HELD, hold_minutes=order.hold_minutes or event.hold_minutes)
    return plan


def _require_short_hold(event: Event, order: Order, *, by_organizer: bool) -> None:
    """Raise `InvalidFields` if a buyer asks for a longer hold than the event allows."""
    if order.hold_minutes is not None and order.hold_minutes > event.hold_minutes and not by_organizer:
        raise InvalidFields({"hold_minutes": f"Must be at most {event.hold_minutes}, the event's hold_minutes."})


def _require_fields(order: Order, *, is_by_key: bool) -> None:
    """Raise `InvalidFields` if an API key omits a field, or an account sets a field reserved for API keys."""
    if is_by_key:
        required = {"guest_name": order.guest_name, "guest_email": order.guest_email}
        invalid = [name for name, value in required.items() if value is None]
        message = "Required when booking with an API key."
    else:
        refused = {"external_id": order.external_id, "metadata": order.metadata}
        invalid = [name for name, value in refused.items() if value is not None]
        message = "Can be set only when booking with an API key."
    if invalid:
        raise InvalidFields(dict.fromkeys(invalid, message))


def _same_booking(booking: Booking, order: Order) -> Booking:
    """Return the booking if an identical order created it. Otherwise raises `ExternalIdTaken`."""
    if booking.external_request_hash is None or bytes(booking.external_request_hash) != order.hash:
        raise ExternalIdTaken
    return booking


def require_open(event: Event, *, now: datetime) -> None:
    """Raise `EventNotOpen` unless the event is published and booking is open."""
    if event.status is EventStatus.DRAFT:
        raise EventNotOpen("The event is not published yet.")
    if event.status is EventStatus.CANCELLED:
        raise EventNotOpen("The event is cancelled.")
    if event.booking_opens_at and now < event.booking_opens_at:
        raise EventNotOpen(f"Booking opens at {event.booking_opens_at:%Y-%m-%dT%H:%M:%SZ}.")
    if now >= event.booking_ends_at:
        raise _closed(event)


def require_changeable(event: Event, *, by_organizer: bool, now: datetime) -> None:
    """Raise `EventNotOpen` if bookings can no longer change.

    Organizers can change bookings until the event ends. Others can change bookings until the event starts or booking
    closes, whichever comes later.
    """
    if by_organizer:
        if now >= event.ends_at:
            raise EventNotOpen("The event has ended.")
    elif now >= max(event.starts_at, event.booking_ends_at):
        raise _closed(event)


def _closed(event: Event) -> EventNotOpen:
    return EventNotOpen(
        "Booking for this event has closed." if event.booking_closes_at else "The event has already started."
    )
