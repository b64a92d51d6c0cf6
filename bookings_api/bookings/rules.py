"""The rules for booking tickets and changing bookings.

The rules only evaluate data that the caller has already read, usually under the event's lock. Errors are raised in a
fixed order, so that the same situation always gets the same response.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from uuid import UUID

from bookings_api.bookings.items import (
    Item,
    OrderedItem,
    items_of,
    offered,
    only_type,
    require_available,
    require_on_sale,
    require_within_limits,
)
from bookings_api.bookings.person_limit import require_within_person_limit
from bookings_api.errors import (
    EventNotFound,
    EventNotOpen,
    ExternalIdTaken,
    InvalidFields,
    LoginEnded,
    PermissionDenied,
    SalesClosed,
    SoldOut,
    TooManyForPerson,
    TooManyTickets,
    UnverifiedBuyer,
)
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import Booking, Event, EventStatus, IdempotencyKey, TicketType
from bookings_api.permissions import Action, Actor, may, may_see, require, require_key_may

# Why tickets cannot be booked or added to a booking
REFUSALS = (EventNotOpen, SalesClosed, SoldOut, TooManyTickets, TooManyForPerson)


@dataclass(frozen=True, kw_only=True)
class Order:
    """A request for tickets: for `items`, or for `ticket_count` tickets of the only type on sale.

    The guest defaults to the account's owner. With an API key, `guest_name` and `guest_email` are required. Only API
    keys can set `external_id` and `metadata`. `requires_verified_email` is true if only accounts with a verified email
    may book.
    """

    event_id: UUID
    ticket_count: int = 1
    items: Sequence[OrderedItem] | None = None
    guest_name: str | None = None
    guest_email: str | None = None
    external_id: str | None = None
    metadata: Mapping[str, str] | None = None
    requires_verified_email: bool = False

    @property
    def hash(self) -> bytes:
        """The SHA-256 hash of the order, used to recognize repeated orders with the same external ID.

        Omits fields that have their default value. A later release can therefore add fields without changing the
        hashes of existing orders.
        """
        values = asdict(self)
        order = {field.name: values[field.name] for field in fields(self) if values[field.name] != field.default}
        order.pop("requires_verified_email", None)  # not part of the order
        if "items" in order:
            order["items"] = sorted(order["items"], key=str)
        return hashlib.sha256(json.dumps(order, sort_keys=True, default=str).encode()).digest()


@dataclass(frozen=True)
class Facts:
    """The data that determines whether an order can be booked.

    `actor` is None if the login has ended or the account is inactive. `is_admitted` is true if the account has an
    active membership in the event's organization, false if the organization has revoked its access, and None if the
    account has no membership yet or the actor is an API key. `stored` is the response to an earlier request with the
    same `Idempotency-Key`. `now` is the database's time. `same_external_id` is the booking that already has the order's
    external ID.
    """

    actor: Actor | None
    is_admitted: bool | None
    stored: IdempotencyKey | None
    event: Event | None
    now: datetime
    ticket_types: Sequence[TicketType]
    tickets_of_person: int
    same_external_id: Booking | None = None


@dataclass(frozen=True)
class Plan:
    """An accepted order, with the time of the decision.

    `is_newcomer` is true if an account has no membership in the event's organization yet.
    """

    actor: Actor
    is_newcomer: bool
    event: Event
    items: Sequence[Item]
    now: datetime


def decide(facts: Facts, order: Order, request: IdempotentRequest | None) -> Plan | IdempotencyKey | Booking:
    """Return a plan to book the order, or the result of an earlier identical request.

    The earlier result is a stored response (same `Idempotency-Key`) or a booking (same external ID). Raises
    `LoginEnded`, `PermissionDenied`, `IdempotencyKeyReused`, `InvalidFields`, `EventNotFound`, `ExternalIdTaken`,
    `UnverifiedBuyer`, `EventNotOpen`, `SalesClosed`, `TooManyTickets`, `TooManyForPerson` or `SoldOut`.
    """
    if facts.actor is None:
        raise LoginEnded
    require_key_may(facts.actor, Action.MANAGE_BOOKINGS)
    if request and facts.stored:
        return request.replay(facts.stored)
    _require_fields(order, is_by_key=facts.actor.key is not None)
    if facts.event is None or not may_see(facts.actor, facts.event):
        raise EventNotFound
    user = facts.actor.user
    if order.requires_verified_email and user and not user.email_verified:
        raise UnverifiedBuyer
    if facts.actor.key is not None:
        require(facts.actor, Action.MANAGE_BOOKINGS, facts.event)
        if facts.same_external_id is not None:
            return _same_booking(facts.same_external_id, order)
    if facts.is_admitted is False:
        raise PermissionDenied("The organization does not accept bookings from your account.")
    require_open(facts.event, now=facts.now)
    by_organizer = may(facts.actor, Action.MANAGE_BOOKINGS, facts.event)
    types = offered(facts.ticket_types, by_organizer=by_organizer)
    if order.items is None:
        items = [Item(only_type(types, now=facts.now), order.ticket_count)]
    else:
        items = items_of(types, order.items)
    require_on_sale(items, now=facts.now)
    total = sum(item.count for item in items)
    field = "ticket_count" if order.items is None else "items"
    require_within_limits(facts.event, items, total=total, field=field)
    require_within_person_limit(facts.event, total, booked=facts.tickets_of_person)
    require_available(facts.event, items)
    return Plan(facts.actor, user is not None and facts.is_admitted is None, facts.event, items, facts.now)


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
    if now >= _closes_at(event):
        raise _closed(event)


def require_changeable(event: Event, *, by_organizer: bool, now: datetime) -> None:
    """Raise `EventNotOpen` if bookings can no longer change.

    Organizers can change bookings until the event ends. Others can change bookings until the event starts or booking
    closes, whichever comes later.
    """
    if by_organizer:
        if now >= event.ends_at:
            raise EventNotOpen("The event has ended.")
    elif now >= max(event.starts_at, _closes_at(event)):
        raise _closed(event)


def _closes_at(event: Event) -> datetime:
    return event.booking_closes_at or event.starts_at


def _closed(event: Event) -> EventNotOpen:
    return EventNotOpen(
        "Booking for this event has closed." if event.booking_closes_at else "The event has already started."
    )
