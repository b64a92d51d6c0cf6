"""What organizers do with events."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.transactions import (
    Precondition,
    Transaction,
    no_precondition,
    require_transaction,
    transaction,
)
from bookings_api.errors import (
    CapacityBelowBooked,
    EventCancelled,
    EventNotFound,
    EventNotPublished,
    EventStarted,
    InvalidFields,
    NotAllowed,
)
from bookings_api.events.permissions import may_see, owns
from bookings_api.events.queries import lock_event
from bookings_api.events.times import time_problems
from bookings_api.extensions import db
from bookings_api.mail import tasks
from bookings_api.models import Booking, BookingStatus, EmailKind, Event, EventStatus, User, utcnow

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

    Raises `EventNotFound`, `NotAllowed`, `EventCancelled`, `EventStarted` for times of an event that has begun,
    `InvalidFields`, and `CapacityBelowBooked`.
    """
    with transaction() as tx:
        event = _lock_own_event(actor, event_id)
        precondition(event)
        if event.status is EventStatus.CANCELLED:
            raise EventCancelled
        changed = {field: value for field, value in changes.items() if getattr(event, field) != value}
        if changed.keys() & _TIMES and _has_begun(event):
            raise EventStarted("The event has started; its times stand.")
        if changed.get("capacity", event.capacity) < event.tickets_booked:
            raise CapacityBelowBooked(event.tickets_booked)
        for field, value in changed.items():
            setattr(event, field, value)
        if changed.keys() & _TIMES:
            _require_fitting_times(event)
        if changed:
            event.version += 1
        if changed.keys() & TOLD and event.tickets_booked and not _has_begun(event):
            tasks.announce(tx, event, EmailKind.EVENT_CHANGED)
    return event


def publish_event(*, actor: User, event_id: UUID, precondition: Precondition = no_precondition) -> Event:
    """Open a draft to the public; an event that is published already stays so, whatever the precondition.

    Raises `EventNotFound`, `NotAllowed`, `EventCancelled`, `EventStarted`.
    """
    with transaction():
        event = _lock_own_event(actor, event_id)
        if event.status is EventStatus.PUBLISHED:
            return event
        precondition(event)
        if event.status is EventStatus.CANCELLED:
            raise EventCancelled
        if event.starts_at <= utcnow():
            raise EventStarted("The event would have started already.")
        event.status = EventStatus.PUBLISHED
        event.version += 1
    return event


def cancel_event(*, actor: User, event_id: UUID, precondition: Precondition = no_precondition) -> Event:
    """Cancel an event and every booking of it, and tell each guest; twice is the same, whatever the precondition.

    Raises `EventNotFound`, `NotAllowed`, `EventNotPublished`, and `EventStarted` for one that has begun.
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

    A draft is only hidden. Raises `EventNotFound`, `NotAllowed`, and `EventStarted` for an event that has begun.
    """
    with transaction() as tx:
        event = _lock_own_event(actor, event_id)
        precondition(event)
        if event.status is EventStatus.PUBLISHED:
            _cancel(tx, event)
        event.deleted_at = utcnow()


def _cancel_bookings_of(event: Event) -> None:
    """Cancel every booking of a locked event, in one statement however many there are.

    Who cancels the event tells the guests; the event's version marks which bookings were cancelled with it.
    """
    require_transaction()
    db.session.execute(
        sa.update(Booking)
        .where(Booking.event_id == event.id, Booking.status == BookingStatus.CONFIRMED)
        .values(
            status=BookingStatus.CANCELLED,
            cancelled_at=utcnow(),
            event_version=event.version,
            version=Booking.version + 1,
        ),
        execution_options={"synchronize_session": False},
    )
    event.tickets_booked = 0


def _has_begun(event: Event) -> bool:
    """Whether people are there already; a draft never begins, whatever its times."""
    return event.status is EventStatus.PUBLISHED and event.starts_at <= utcnow()


def _cancel(tx: Transaction, event: Event) -> None:
    if _has_begun(event):
        raise EventStarted("The event has started and cannot be cancelled.")
    event.status = EventStatus.CANCELLED
    event.version += 1
    if event.tickets_booked:
        _cancel_bookings_of(event)
        tasks.announce(tx, event, EmailKind.EVENT_CANCELLED)


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
