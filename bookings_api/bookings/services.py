"""What users do with tickets."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.bookings.idempotency import Once, recall, remember
from bookings_api.bookings.queries import lock_booking, lock_own_booking
from bookings_api.errors import BookingCancelled, EventNotFound, EventNotOpen, EventOver, SoldOut, TooManyTickets
from bookings_api.events.permissions import may_see
from bookings_api.events.queries import lock_event
from bookings_api.extensions import db
from bookings_api.mail import messages, tasks
from bookings_api.models import Booking, BookingStatus, Event, EventStatus, MailKind, OutboxMail, User, utcnow
from bookings_api.transactions import Precondition, Transaction, no_precondition, require_transaction, transaction


def book_tickets(
    *,
    user: User,
    event_id: UUID,
    ticket_count: int = 1,
    guest_name: str | None = None,
    guest_email: str | None = None,
) -> Booking:
    """Book `ticket_count` tickets for `user`, in the name of the guest or, by default, of the account.

    The booking, the event's counter and the confirmation mail are written in one transaction, under a lock on
    the event's row; so of any number of buyers at once each sees what the one before left over.

    Raises `EventNotFound`, `EventNotOpen`, `TooManyTickets`, `SoldOut`; then nothing is written.
    """
    with transaction() as tx:
        return _book(tx, user, event_id, ticket_count=ticket_count, guest_name=guest_name, guest_email=guest_email)


def book_tickets_once(*, user: User, once: Once, **order: Any) -> tuple[dict[str, Any], bool]:
    """As `book_tickets`, but done once for a key: the answer, and whether it is the stored one.

    Raises `RequestInFlight` and `IdempotencyKeyReused`, too.
    """
    with transaction() as tx:
        answer = recall(user, once)
        if answer is not None:
            return answer, True
        return remember(user, once, _book(tx, user, **order)), False


def change_booking(
    *, user: User, booking_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> Booking:
    """Change ticket count or guest of one's own booking; the guest is told by mail.

    More tickets are taken under the lock on the event, fewer are given back in the same transaction. Raises
    `BookingNotFound`, `NotAllowed`, `BookingCancelled`, `EventNotOpen`, `TooManyTickets`, `SoldOut`.
    """
    with transaction() as tx:
        booking, event = lock_own_booking(booking_id, owner=user)
        precondition(booking)
        if booking.status is BookingStatus.CANCELLED:
            raise BookingCancelled
        _require_not_begun(event)
        changed = {field: value for field, value in changes.items() if getattr(booking, field) != value}
        if not changed:
            return booking
        more = changed.get("ticket_count", booking.ticket_count) - booking.ticket_count
        if more > 0:
            _require_open(event)
            _require_seats(event, more, in_all=booking.ticket_count + more)
        event.tickets_booked += more
        for field, value in changed.items():
            setattr(booking, field, value)
        booking.version += 1
        _mail(tx, MailKind.BOOKING_CHANGED, booking, event)
    return booking


def cancel_booking(*, user: User, booking_id: UUID, precondition: Precondition = no_precondition) -> Booking:
    """Cancel one's own booking and give its tickets back; cancelling again changes nothing and answers the same.

    Raises `BookingNotFound`, `NotAllowed`, and `EventNotOpen` once the event has begun.
    """
    with transaction() as tx:
        booking, event = lock_own_booking(booking_id, owner=user)
        if booking.status is BookingStatus.CANCELLED:
            return booking
        precondition(booking)
        _require_not_begun(event)
        event.tickets_booked -= booking.ticket_count
        booking.status = BookingStatus.CANCELLED
        booking.cancelled_at = utcnow()
        booking.version += 1
        _mail(tx, MailKind.BOOKING_CANCELLED, booking, event)
    return booking


def resend_confirmation(*, user: User, booking_id: UUID) -> OutboxMail:
    """Mail the confirmation again, with the present facts, to the present guest; returns the mail, not sent yet.

    Its user and the event's organizer may. Written under the locks that a cancellation takes, so that no confirmation
    follows one. Raises `BookingNotFound`, `BookingCancelled`, `EventOver`.
    """
    with transaction() as tx:
        booking, event = lock_booking(booking_id, viewer=user)
        if booking.status is BookingStatus.CANCELLED:
            raise BookingCancelled
        if event.ends_at <= utcnow():
            raise EventOver("The event is over.")
        return _mail(tx, MailKind.BOOKING_CONFIRMED, booking, event)


def cancel_bookings_of(event: Event) -> None:
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


def _book(
    tx: Transaction,
    user: User,
    event_id: UUID,
    *,
    ticket_count: int = 1,
    guest_name: str | None = None,
    guest_email: str | None = None,
) -> Booking:
    event = lock_event(event_id)
    if not may_see(user, event):
        raise EventNotFound
    _require_open(event)
    _require_seats(event, ticket_count, in_all=ticket_count)
    booking = Booking(
        event=event,
        event_version=event.version,
        user_id=user.id,
        ticket_count=ticket_count,
        guest_name=guest_name or user.name or user.email,
        guest_email=guest_email or user.email,
    )
    db.session.add(booking)
    event.tickets_booked += ticket_count
    db.session.flush()
    _mail(tx, MailKind.BOOKING_CONFIRMED, booking, event)
    return booking


def _require_not_begun(event: Event) -> None:
    if event.starts_at <= utcnow():
        raise EventNotOpen("The event has already started.")


def _require_open(event: Event) -> None:
    """Raise `EventNotOpen` with the reason if tickets cannot be had now."""
    now = utcnow()
    if event.status is EventStatus.DRAFT:
        raise EventNotOpen("The event is not published yet.")
    if event.status is EventStatus.CANCELLED:
        raise EventNotOpen("The event is cancelled.")
    _require_not_begun(event)
    if event.booking_opens_at and now < event.booking_opens_at:
        raise EventNotOpen(f"Booking opens at {event.booking_opens_at:%Y-%m-%dT%H:%M:%SZ}.")
    if event.booking_closes_at and now >= event.booking_closes_at:
        raise EventNotOpen("Booking for this event has closed.")


def _require_seats(event: Event, more: int, *, in_all: int) -> None:
    """Raise `TooManyTickets` or `SoldOut` unless a booking may have `in_all` tickets by taking `more`."""
    if in_all > event.max_tickets_per_booking:
        raise TooManyTickets(event.max_tickets_per_booking)
    if more > event.tickets_available:
        raise SoldOut(event.tickets_available)


def _mail(tx: Transaction, kind: MailKind, booking: Booking, event: Event) -> OutboxMail:
    return tasks.post(
        tx,
        kind=kind,
        recipient=booking.guest_email,
        facts=messages.event_facts(event) | messages.guest_facts(booking),
        booking_id=booking.id,
        user_id=booking.user_id,
    )
