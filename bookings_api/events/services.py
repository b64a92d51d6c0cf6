"""Services that create, change, publish, cancel and delete events."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.changes import apply_changes
from bookings_api.database.clock import database_time
from bookings_api.database.transactions import (
    Precondition,
    Transaction,
    no_precondition,
    transaction,
)
from bookings_api.errors import (
    CapacityBelowBooked,
    EventCancelled,
    EventEnded,
    EventNotPublished,
    EventStarted,
    InvalidFields,
)
from bookings_api.events.queries import lock_event_for
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.inventory.availability import ticket_types_of
from bookings_api.inventory.cancellation import cancel_bookings_of
from bookings_api.inventory.holds import end_expired_holds
from bookings_api.inventory.waiting_list import has_waiting, serve_waiting_list
from bookings_api.mail import broadcasts
from bookings_api.models import Booking, EmailKind, Event, EventStatus, TicketType
from bookings_api.models.ticket_type import DEFAULT_TYPE_NAME
from bookings_api.permissions import Action, Actor, organization_for

# These fields cannot change once the event has ended.
_TIMES = {"starts_at", "ends_at", "timezone", "booking_opens_at", "booking_closes_at"}
# Emails and calendars show these fields. Guests are notified when they change.
NOTIFIED = {"title", "location", "timezone", "starts_at", "ends_at", "contact_name", "contact_email"}


def create_event(
    *, actor: Actor, organization_id: UUID | None = None, request: IdempotentRequest | None = None, **fields: Any
) -> Event:
    """Create an event, with one ticket type, from the fields of `EventCreateSchema`.

    `contact_name` defaults to the name of the actor's account, or to None for an API key.

    Raises `PermissionDenied`, `OrganizationNotFound`, `OrganizationRequired`, `InvalidFields` for inconsistent times,
    and `IdempotencyKeyReused`.
    """
    organization_id = organization_for(actor, Action.CREATE_EVENTS, organization_id)
    organizer_id = actor.responsible_id
    name = actor.user.name if actor.user else None
    event = Event(**{"organization_id": organization_id, "organizer_id": organizer_id, "contact_name": name, **fields})
    with transaction():
        _require_consistent_times(event, fields.keys(), now=database_time())
        db.session.add(event)
        db.session.flush()
        db.session.add(TicketType(event_id=event.id, name=DEFAULT_TYPE_NAME))
        store_response(request, actor.id, event)
    return event


def change_event(
    *, actor: Actor, event_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> Event:
    """Change an event's fields. Notifies the guests if a field in `NOTIFIED` changes before the event ends.

    Raises `EventNotFound`, `PermissionDenied`, `EventCancelled`, `InvalidFields` or `CapacityBelowBooked`. Raises
    `EventStarted` if the start would change after the event has started, and `EventEnded` if any time would change
    after the event has ended.
    """
    with transaction() as tx:
        event, now = lock_event_for(actor, Action.EDIT_EVENT, event_id)
        precondition(event)
        if event.status is EventStatus.CANCELLED:
            raise EventCancelled
        end_expired_holds(tx, event, now=now)
        had_started = _has_passed(event, event.starts_at, now=now)
        had_ended = _has_passed(event, event.ends_at, now=now)
        changed = apply_changes(event, changes)
        if changed & _TIMES and had_ended:
            raise EventEnded("The event has ended. Its times can no longer be changed.")
        if "starts_at" in changed and had_started:
            raise EventStarted
        if event.capacity < event.tickets_booked + event.tickets_held:
            raise CapacityBelowBooked(event.tickets_booked, event.tickets_held)
        if changed & _TIMES:
            _require_consistent_times(event, changed, now=now)
        if "capacity" in changed:
            _require_capacity_of_types(event)
        if "currency" in changed:
            _require_unused_currency(event)
        if changed & NOTIFIED and not had_ended and (event.tickets_booked or event.tickets_held or has_waiting(event)):
            broadcasts.queue_broadcast(tx, event, EmailKind.EVENT_CHANGED)
        serve_waiting_list(tx, event, now=now)
    return event


def publish_event(*, actor: Actor, event_id: UUID, precondition: Precondition = no_precondition) -> Event:
    """Publish a draft. Publishing again changes nothing and ignores the precondition.

    Raises `EventNotFound`, `PermissionDenied`, `EventCancelled` or `EventEnded`.
    """
    with transaction():
        event, now = lock_event_for(actor, Action.EDIT_EVENT, event_id)
        if event.status is EventStatus.PUBLISHED:
            return event
        precondition(event)
        if event.status is EventStatus.CANCELLED:
            raise EventCancelled
        if event.ends_at <= now:
            raise EventEnded("The end of the event has passed. Change its times before you publish it.")
        event.status = EventStatus.PUBLISHED
        event.version += 1
    return event


def cancel_event(*, actor: Actor, event_id: UUID, precondition: Precondition = no_precondition) -> Event:
    """Cancel an event and all its bookings, and notify the guests.

    Cancelling again changes nothing and ignores the precondition. Raises `EventNotFound`, `PermissionDenied`,
    `EventNotPublished` or `EventEnded`.
    """
    with transaction() as tx:
        event, now = lock_event_for(actor, Action.EDIT_EVENT, event_id)
        if event.status is EventStatus.CANCELLED:
            return event
        precondition(event)
        if event.status is EventStatus.DRAFT:
            raise EventNotPublished
        _cancel(tx, event, now=now)
    return event


def delete_event(*, actor: Actor, event_id: UUID, precondition: Precondition = no_precondition) -> None:
    """Hide an event. If the event is published, first cancels it and its bookings, and notifies the guests.

    The bookings can still be read. Raises `EventNotFound`, `PermissionDenied`, or `EventEnded` if the event is
    published and has ended.
    """
    with transaction() as tx:
        event, now = lock_event_for(actor, Action.DELETE_EVENT, event_id)
        precondition(event)
        if event.status is EventStatus.PUBLISHED:
            _cancel(tx, event, now=now)
        event.deleted_at = now


def _has_passed(event: Event, time: datetime, *, now: datetime) -> bool:
    """Whether `time` of a published event has passed. Always false for drafts, which never start or end."""
    return event.status is EventStatus.PUBLISHED and time <= now


def _cancel(tx: Transaction, event: Event, *, now: datetime) -> None:
    if _has_passed(event, event.ends_at, now=now):
        raise EventEnded("The event has ended and cannot be cancelled.")
    event.status = EventStatus.CANCELLED
    event.version += 1
    if cancel_bookings_of(event, now=now):
        broadcasts.queue_broadcast(tx, event, EmailKind.EVENT_CANCELLED)


def _require_capacity_of_types(event: Event) -> None:
    """Raise `InvalidFields` if the capacity of a ticket type exceeds the capacity of the event."""
    largest = max(ticket_types_of(event), key=lambda one: one.capacity or 0)
    if largest.capacity is not None and largest.capacity > event.capacity:
        message = f"Must be at least {largest.capacity}, the capacity of the ticket type {largest.name}."
        raise InvalidFields({"capacity": message})


def _require_unused_currency(event: Event) -> None:
    """Raise `InvalidFields` if prices or bookings already refer to the event's former currency."""
    has_price = any(one.price for one in ticket_types_of(event))
    priced = sa.select(Booking.id).where(Booking.event_id == event.id, Booking.currency.is_not(None)).limit(1)
    if has_price or db.session.scalars(priced).one_or_none():
        raise InvalidFields({"currency": "Cannot be changed once tickets have a price or have been sold."})


def _require_consistent_times(event: Event, changed: Collection[str], *, now: datetime) -> None:
    problems = {}
    if "starts_at" in changed and event.starts_at <= now:
        problems["starts_at"] = "Must be in the future."
    if event.ends_at <= event.starts_at:
        problems["ends_at"] = "Must be later than starts_at."
    elif event.ends_at <= now:
        problems["ends_at"] = "Must be in the future."
    opens, closes = event.booking_opens_at, event.booking_closes_at
    if opens and closes is None and opens >= event.starts_at:
        problems["booking_opens_at"] = "Must be earlier than starts_at unless booking_closes_at is set."
    if closes and closes > event.ends_at:
        problems["booking_closes_at"] = "Must not be later than ends_at."
    elif opens and closes and closes <= opens:
        problems["booking_closes_at"] = "Must be later than booking_opens_at."
    if problems:
        raise InvalidFields(problems)
