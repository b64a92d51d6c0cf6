"""The rules that decide whether tickets can be booked, for every use case that takes or releases them.

They are plain functions of the data that was read under the event's lock. Errors are raised in a fixed order, so that
the same situation always gets the same response.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings_api.errors import (
    EventNotFound,
    EventNotOpen,
    LoginEnded,
    PermissionDenied,
    SoldOut,
    TooManyTickets,
    UnverifiedBuyer,
)
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import Event, EventStatus, IdempotencyKey
from bookings_api.permissions import Actor, may_see


@dataclass(frozen=True, kw_only=True)
class Order:
    """The tickets to book. The guest defaults to the account's owner.

    `requires_verified_email` is whether the operator accepts orders only from accounts with a verified email.
    """

    event_id: UUID
    ticket_count: int = 1
    guest_name: str | None = None
    guest_email: str | None = None
    requires_verified_email: bool = False


@dataclass(frozen=True)
class Facts:
    """The data that decides whether an order can be booked.

    `actor` is None if the login has ended or the account is inactive. `is_admitted` is whether the account belongs to
    the event's organization or has booked there before, false if it lost its access there, and None for a newcomer.
    `now` is the database's time, read after the event was locked.
    """

    actor: Actor | None
    is_admitted: bool | None
    stored: IdempotencyKey | None
    event: Event | None
    now: datetime


@dataclass(frozen=True)
class Plan:
    """An accepted order, with the buyer, the event and the time of the decision."""

    actor: Actor
    is_newcomer: bool
    event: Event
    now: datetime


def decide(facts: Facts, order: Order, request: IdempotentRequest | None) -> Plan | IdempotencyKey:
    """Decide what to do with an order: book it, or return the stored response to the same request.

    Raises the reason for a refusal: `LoginEnded`, `IdempotencyKeyReused`, `EventNotFound`, `UnverifiedBuyer`,
    `PermissionDenied`, `EventNotOpen`, `TooManyTickets` or `SoldOut`.
    """
    if facts.actor is None:
        raise LoginEnded
    if request and facts.stored:
        return request.replay(facts.stored)
    if facts.event is None or not may_see(facts.actor, facts.event):
        raise EventNotFound
    user = facts.actor.user
    if order.requires_verified_email and user and not user.email_verified:
        raise UnverifiedBuyer
    if facts.is_admitted is False:
        raise PermissionDenied("The organization does not accept bookings from your account.")
    require_open(facts.event, now=facts.now)
    require_available(facts.event, order.ticket_count, in_all=order.ticket_count)
    return Plan(facts.actor, facts.is_admitted is None, facts.event, facts.now)


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


def require_available(event: Event, count: int, *, in_all: int) -> None:
    """Raise `TooManyTickets` or `SoldOut` unless a booking can take `count` more tickets, making `in_all` in total."""
    if in_all > event.max_tickets_per_booking:
        raise TooManyTickets(event.max_tickets_per_booking)
    if count > event.tickets_available:
        raise SoldOut(event.tickets_available)


def require_changeable(event: Event, *, by_organizer: bool, now: datetime) -> None:
    """Raise `EventNotOpen` if bookings can no longer change.

    The event's organizer can change them until the event ends; others until it starts or booking closes, whichever
    comes later.
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
