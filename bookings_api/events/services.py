"""What organizers do with events."""

from typing import Any
from uuid import UUID

from bookings_api.bookings.services import cancel_bookings_of
from bookings_api.errors import (
    CapacityBelowBooked,
    EventCancelled,
    EventNotFound,
    EventNotPublished,
    EventOver,
    InvalidFields,
    NotAllowed,
)
from bookings_api.events.permissions import may_see, owns
from bookings_api.events.queries import lock_event
from bookings_api.events.times import time_problems
from bookings_api.extensions import db
from bookings_api.mail import tasks
from bookings_api.models import Event, EventStatus, MailKind, User, utcnow
from bookings_api.transactions import Precondition, Transaction, no_precondition, transaction

# What stands once the event has begun.
_TIMES = {"starts_at", "ends_at", "timezone", "booking_opens_at", "booking_closes_at"}
# A guest who is not told of a change of these stands before a closed door.
TOLD = {"starts_at", "ends_at", "timezone", "location"}


def create_event(*, organizer: User, **fields: Any) -> Event:
    """Create an event of `organizer` from the fields of `EventCreateSchema`; times are aware.

    Raises `InvalidFields` when its times do not fit each other.
    """
    event = Event(organizer_id=organizer.id, **fields)
    _require_fitting_times(event)
    with transaction():
        db.session.add(event)
    return event


def change_event(
    *, actor: User, event_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> Event:
    """Change fields of an event; another time or place is told to every guest, once.

    Raises `EventNotFound`, `NotAllowed`, `EventCancelled`, `EventOver` for times of an event that has begun,
    `InvalidFields`, and `CapacityBelowBooked`.
    """
    with transaction() as tx:
        event = _lock_own_event(actor, event_id)
        precondition(event)
        if event.status is EventStatus.CANCELLED:
            raise EventCancelled
        changed = {field: value for field, value in changes.items() if getattr(event, field) != value}
        if changed.keys() & _TIMES and _has_begun(event):
            raise EventOver("The event has started; its times stand.")
        if changed.get("capacity", event.capacity) < event.tickets_booked:
            raise CapacityBelowBooked(event.tickets_booked)
        for field, value in changed.items():
            setattr(event, field, value)
        if changed.keys() & _TIMES:
            _require_fitting_times(event)
        if changed:
            event.version += 1
        if changed.keys() & TOLD and event.tickets_booked and not _has_begun(event):
            tasks.announce(tx, event, MailKind.EVENT_CHANGED)
    return event


def publish_event(*, actor: User, event_id: UUID, precondition: Precondition = no_precondition) -> Event:
    """Open a draft to the public; an event that is published already stays so, whatever the precondition.

    Raises `EventNotFound`, `NotAllowed`, `EventCancelled`, `EventOver`.
    """
    with transaction():
        event = _lock_own_event(actor, event_id)
        if event.status is EventStatus.PUBLISHED:
            return event
        precondition(event)
        if event.status is EventStatus.CANCELLED:
            raise EventCancelled
        if event.starts_at <= utcnow():
            raise EventOver("The event would have started already.")
        event.status = EventStatus.PUBLISHED
        event.version += 1
    return event


def cancel_event(*, actor: User, event_id: UUID, precondition: Precondition = no_precondition) -> Event:
    """Cancel an event and every booking of it, and tell each guest; twice is the same, whatever the precondition.

    Raises `EventNotFound`, `NotAllowed`, `EventNotPublished`, and `EventOver` for one that has begun.
    """
    with transaction() as tx:
        event = _lock_own_event(actor, event_id)
        if event.status is EventStatus.CANCELLED:
            return event
        precondition(event)
        if event.status is EventStatus.DRAFT:
            raise EventNotPublished
        _cancel(tx, event)
    return event


def delete_event(*, actor: User, event_id: UUID, precondition: Precondition = no_precondition) -> None:
    """Cancel an event as `cancel_event` does, and hide it; its bookings stay readable to their users.

    A draft is only hidden. Raises `EventNotFound`, `NotAllowed`, and `EventOver` for an event that has begun.
    """
    with transaction() as tx:
        event = _lock_own_event(actor, event_id)
        precondition(event)
        if event.status is EventStatus.PUBLISHED:
            _cancel(tx, event)
        event.deleted_at = utcnow()


def _has_begun(event: Event) -> bool:
    """Whether people are there already; a draft never begins, whatever its times."""
    return event.status is EventStatus.PUBLISHED and event.starts_at <= utcnow()


def _cancel(tx: Transaction, event: Event) -> None:
    if _has_begun(event):
        raise EventOver("The event has started and cannot be cancelled.")
    event.status = EventStatus.CANCELLED
    event.version += 1
    if event.tickets_booked:
        cancel_bookings_of(event)
        tasks.announce(tx, event, MailKind.EVENT_CANCELLED)


def _lock_own_event(actor: User, event_id: UUID) -> Event:
    """The locked event, if it is the actor's. Raises `EventNotFound`, `NotAllowed`."""
    event = lock_event(event_id)
    if not may_see(actor, event):
        raise EventNotFound
    if not owns(actor, event):
        raise NotAllowed("Only its organizer may do that with an event.")
    return event


def _require_fitting_times(event: Event) -> None:
    problems = time_problems(event, now=utcnow())
    if problems:
        raise InvalidFields(problems)
