"""Services that create, change and delete ticket types."""

from typing import Any
from uuid import UUID

from bookings_api.database.changes import apply_changes
from bookings_api.database.transactions import Precondition, no_precondition, transaction
from bookings_api.errors import CapacityBelowBooked, EventCancelled, InvalidFields, TicketTypeInUse
from bookings_api.events.queries import lock_event_for
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.inventory.availability import ticket_types_of
from bookings_api.inventory.holds import end_expired_holds
from bookings_api.inventory.queue import queue_of
from bookings_api.inventory.waiting_list import serve_waiting_list
from bookings_api.models import Event, EventStatus, TicketType
from bookings_api.models.ticket_type import MAX_POSITION, MAX_TYPES_PER_EVENT
from bookings_api.permissions import Action, Actor
from bookings_api.ticket_types.queries import find_type


def create_type(*, actor: Actor, event_id: UUID, request: IdempotentRequest | None = None, **fields: Any) -> TicketType:
    """Create a ticket type from the fields of `TicketTypeCreateSchema`. By default, the type comes last in lists.

    Raises `EventNotFound`, `PermissionDenied`, `EventCancelled`, `InvalidFields` or `IdempotencyKeyReused`.
    """
    with transaction():
        event, _ = lock_event_for(actor, Action.EDIT_EVENT, event_id)
        _require_not_cancelled(event)
        others = ticket_types_of(event)
        if len(others) >= MAX_TYPES_PER_EVENT:
            raise InvalidFields({"name": f"An event can have at most {MAX_TYPES_PER_EVENT} ticket types."})
        created = TicketType(**{"event_id": event_id, "position": min(others[-1].position + 1, MAX_POSITION), **fields})
        _require_consistent(event, created)
        db.session.add(created)
        db.session.flush()
        db.session.refresh(created, ["tickets_available"])
        store_response(request, actor.id, created)
    return created


def change_type(
    *,
    actor: Actor,
    event_id: UUID,
    type_id: UUID,
    changes: dict[str, Any],
    precondition: Precondition = no_precondition,
) -> TicketType:
    """Change a ticket type's fields. Existing bookings are unaffected.

    Raises `EventNotFound`, `TicketTypeNotFound`, `PermissionDenied`, `EventCancelled`, `InvalidFields` or
    `CapacityBelowBooked`.
    """
    with transaction() as tx:
        event, now = lock_event_for(actor, Action.EDIT_EVENT, event_id)
        end_expired_holds(tx, event, now=now)
        changed = find_type(event, type_id, viewer=actor)
        precondition(changed)
        _require_not_cancelled(event)
        apply_changes(changed, changes)
        if changed.capacity is not None and changed.capacity < changed.tickets_booked + changed.tickets_held:
            raise CapacityBelowBooked(changed.tickets_booked, changed.tickets_held)
        _require_consistent(event, changed)
        serve_waiting_list(tx, event, now=now)
        db.session.flush()
        db.session.refresh(changed, ["tickets_available"])
    return changed


def delete_type(*, actor: Actor, event_id: UUID, type_id: UUID, precondition: Precondition = no_precondition) -> None:
    """Delete a ticket type. Cancelled bookings still show it.

    Raises `EventNotFound`, `TicketTypeNotFound`, `PermissionDenied`, `EventCancelled`, or `TicketTypeInUse` if tickets
    of the type are booked, held or waited for, or the event has no other type.
    """
    with transaction() as tx:
        event, now = lock_event_for(actor, Action.EDIT_EVENT, event_id)
        end_expired_holds(tx, event, now=now)
        deleted = find_type(event, type_id, viewer=actor)
        precondition(deleted)
        _require_not_cancelled(event)
        if deleted.tickets_booked or deleted.tickets_held:
            raise TicketTypeInUse("Tickets of this type are booked or held. Hide the type instead.")
        if deleted.id in queue_of(event).types:
            raise TicketTypeInUse("People wait for tickets of this type. Hide the type instead.")
        if ticket_types_of(event) == [deleted]:
            raise TicketTypeInUse("An event must have at least one ticket type.")
        deleted.deleted_at = now
        deleted.version += 1


def _require_not_cancelled(event: Event) -> None:
    if event.status is EventStatus.CANCELLED:
        raise EventCancelled


def _require_consistent(event: Event, ticket_type: TicketType) -> None:
    problems = {}
    if ticket_type.capacity is not None and ticket_type.capacity > event.capacity:
        problems["capacity"] = f"Must be at most {event.capacity}, the capacity of the event."
    opens, closes = ticket_type.sales_open_at, ticket_type.sales_close_at
    if opens and closes and closes <= opens:
        problems["sales_close_at"] = "Must be later than sales_open_at."
    if ticket_type.price and event.currency is None:
        problems["price"] = "Set the currency of the event first."
    if problems:
        raise InvalidFields(problems)
