"""What users do with tickets."""

from typing import Any
from uuid import UUID

from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.bookings.idempotency import Once
from bookings_api.bookings.placing import new_booking, place
from bookings_api.bookings.queries import lock_booking, lock_own_booking
from bookings_api.bookings.rules import require_not_begun, require_open, require_seats
from bookings_api.calendar.payloads import event_payload, guest_payload
from bookings_api.database.transactions import (
    Precondition,
    Transaction,
    no_precondition,
    single_statement,
    transaction,
)
from bookings_api.errors import BookingCancelled, EventNotOpen, EventStarted, LoginChanged, RequestInFlight
from bookings_api.events.queries import require_visible
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, Event, IdempotencyKey, OutboxEmail, User, utcnow

# How often a booking is tried whose event changed between the refusal and the look why.
ATTEMPTS = 5


def book_tickets(*, user: User, login_id: UUID, **order: Any) -> Booking:
    """Book tickets for `user`, who was logged in so when last seen; `order` is that of `new_booking`.

    The booking, the event's counter and the confirmation mail are written by one statement, under a lock on the
    event's row; so of any number of buyers at once each sees what the one before left over.

    Raises `LoginChanged` when the login is over or the account not what `user` says; else `EventNotFound`,
    `EventNotOpen`, `TooManyTickets`, `SoldOut`. Then nothing is written.
    """
    booking = new_booking(user, **order)
    _place(booking, user, login_id)
    return booking


def book_tickets_once(*, user: User, login_id: UUID, once: Once, **order: Any) -> tuple[dict[str, Any], bool]:
    """As `book_tickets`, but done once for a key: the answer, and whether it is the stored one.

    Raises `RequestInFlight` and `IdempotencyKeyReused`, too.
    """
    booking = new_booking(user, **order)
    key = once.kept_with(booking)
    stored = _place(booking, user, login_id, key)
    return (key.response, False) if stored is None else (once.recalled(stored), True)


def change_booking(
    *, user: User, booking_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> Booking:
    """Change ticket count or guest of one's own booking; the guest is told by mail.

    More tickets are taken under the lock on the event, fewer are given back in the same transaction. Raises
    `BookingNotFound`, `PermissionDenied`, `BookingCancelled`, `EventNotOpen`, `TooManyTickets`, `SoldOut`.
    """
    with transaction() as tx:
        booking, event = lock_own_booking(booking_id, owner=user)
        precondition(booking)
        if booking.status is BookingStatus.CANCELLED:
            raise BookingCancelled
        require_not_begun(event, now=utcnow())
        changed = {field: value for field, value in changes.items() if getattr(booking, field) != value}
        if not changed:
            return booking
        more = changed.get("ticket_count", booking.ticket_count) - booking.ticket_count
        if more > 0:
            require_open(event, now=utcnow())
            require_seats(event, more, in_all=booking.ticket_count + more)
        event.tickets_booked += more
        for field, value in changed.items():
            setattr(booking, field, value)
        booking.version += 1
        _mail(tx, EmailKind.BOOKING_CHANGED, booking, event)
    return booking


def cancel_booking(*, user: User, booking_id: UUID, precondition: Precondition = no_precondition) -> Booking:
    """Cancel one's own booking and give its tickets back; cancelling again changes nothing and answers the same.

    Raises `BookingNotFound`, `PermissionDenied`, and `EventNotOpen` once the event has begun.
    """
    with transaction() as tx:
        booking, event = lock_own_booking(booking_id, owner=user)
        if booking.status is BookingStatus.CANCELLED:
            return booking
        precondition(booking)
        require_not_begun(event, now=utcnow())
        event.tickets_booked -= booking.ticket_count
        booking.status = BookingStatus.CANCELLED
        booking.cancelled_at = utcnow()
        booking.version += 1
        _mail(tx, EmailKind.BOOKING_CANCELLED, booking, event)
    return booking


def resend_confirmation(*, user: User, booking_id: UUID) -> OutboxEmail:
    """Mail the confirmation again, with the present payload, to the present guest; returns the mail, not sent yet.

    Its user and the event's organizer may. Written under the locks that a cancellation takes, so that no confirmation
    follows one. Raises `BookingNotFound`, `BookingCancelled`, `EventStarted`.
    """
    with transaction() as tx:
        booking, event = lock_booking(booking_id, viewer=user)
        if booking.status is BookingStatus.CANCELLED:
            raise BookingCancelled
        if event.ends_at <= utcnow():
            raise EventStarted("The event is over.")
        return _mail(tx, EmailKind.BOOKING_CONFIRMED, booking, event)


def _place(booking: Booking, user: User, login_id: UUID, key: IdempotencyKey | None = None) -> IdempotencyKey | None:
    """Write a new booking; or return the key as it is stored, and write nothing."""
    for _ in range(ATTEMPTS):
        mail = outbox.email_columns(
            kind=EmailKind.BOOKING_CONFIRMED,
            recipient=booking.guest_email,
            payload=guest_payload(booking),
            booking_id=booking.id,
            user_id=user.id,
        )
        try:
            with single_statement() as tx:
                placed = place(user, login_id, booking, mail, key)
                if placed.is_booked:
                    tx.after_commit(outbox.wake_worker)
                    return None
        except IntegrityError as error:
            if isinstance(error.orig, UniqueViolation) and error.orig.diag.constraint_name == "pk_idempotency_keys":
                continue
            raise
        if not placed.is_login_good:
            raise LoginChanged
        if placed.stored_key:
            return placed.stored_key
        if not placed.is_key_free:
            raise RequestInFlight
        event = require_visible(placed.event, viewer=user)
        require_open(event, now=booking.created_at)
        require_seats(event, booking.ticket_count, in_all=booking.ticket_count)
        # Nothing forbade it when the statement began: somebody else's booking was faster, or an earlier request with
        # the key, which the next attempt sees.
    raise EventNotOpen("The event is changing at this moment. Please try again.")


def _mail(tx: Transaction, kind: EmailKind, booking: Booking, event: Event) -> OutboxEmail:
    return outbox.queue_email(
        tx,
        kind=kind,
        recipient=booking.guest_email,
        payload=event_payload(event) | guest_payload(booking),
        booking_id=booking.id,
        user_id=booking.user_id,
    )
