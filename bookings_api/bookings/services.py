"""Services that change, extend and cancel bookings, and resend confirmations."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from bookings_api.bookings.booking_lock import locked_booking, require_admitted
from bookings_api.bookings.changes import change_tickets, require_allowed_for_person
from bookings_api.bookings.emails import announcement_of
from bookings_api.bookings.rules import require_changeable
from bookings_api.database.changes import apply_changes
from bookings_api.database.prepared import run
from bookings_api.database.transactions import Precondition, no_precondition
from bookings_api.errors import (
    AlreadyExtended,
    BookingCancelled,
    BookingNotConfirmed,
    BookingNotHeld,
    EventEnded,
    HoldExpired,
)
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.inventory.counters import release
from bookings_api.inventory.notices import email_about
from bookings_api.inventory.waiting_list import serve_waiting_list
from bookings_api.mail import outbox
from bookings_api.models import ACTIVE, Booking, BookingStatus, EmailKind, OutboxEmail
from bookings_api.permissions import Action, Actor, may


def change_booking(
    *, actor: Actor, booking_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> Booking:
    """Change a booking's tickets or guest. Notifies the guest and, if the guest is replaced, the former guest.

    Organizers can change bookings until the event ends, even after booking has closed. Raises `BookingNotFound`,
    `PermissionDenied`, `BookingCancelled`, `HoldExpired`, `EventNotOpen`, `InvalidFields`, `SalesClosed`,
    `TooManyTickets`, `TooManyForPerson`, `PaymentRequired`, `OthersWaiting` or `SoldOut`.
    """
    with locked_booking(actor, booking_id) as (tx, booking, event, now):
        precondition(booking)
        _require_active(booking)
        by_organizer = may(actor, Action.MANAGE_BOOKINGS, event)
        require_changeable(event, by_organizer=by_organizer, now=now)
        former = email_about(EmailKind.BOOKING_REASSIGNED, booking, event, booking.sender)
        former_count, was_waiting = booking.ticket_count, booking.status is BookingStatus.WAITLISTED
        has_other_tickets = change_tickets(booking, event, changes, by_organizer=by_organizer, now=now)
        guest = {name: value for name, value in changes.items() if name not in {"items", "ticket_count"}}
        if not apply_changes(booking, guest):
            if not has_other_tickets:
                return booking
            booking.version += 1
        require_allowed_for_person(booking, event, former_count=former_count, former_guest=former["recipient"])
        is_confirmed = booking.status is BookingStatus.CONFIRMED
        kind, sender = EmailKind.BOOKING_CHANGED if is_confirmed else announcement_of(booking), booking.sender
        if former["recipient"].lower() != booking.guest_email.lower():
            # calendar programs ignore a cancellation whose version is not higher than that of the entry
            former["payload"]["booking_version"] = booking.version
            if booking.was_announced:
                outbox.queue_email(tx, **former)
            buyer = booking.user
            is_buyers = buyer and (buyer.id == actor.id or buyer.email.lower() == booking.guest_email.lower())
            booking.guest_chosen_by_id = actor.user.id if actor.user and not is_buyers else None
            kind, sender = announcement_of(booking), buyer if is_buyers else actor.user
        serve_waiting_list(tx, event, now=now)
        _refresh_position(booking)
        was_promoted = was_waiting and booking.status is not BookingStatus.WAITLISTED
        if kind and not was_promoted:  # a promotion sends an email already
            outbox.queue_email(tx, **email_about(kind, booking, event, sender))
    return booking


def extend_hold(*, actor: Actor, booking_id: UUID, precondition: Precondition = no_precondition) -> Booking:
    """Extend a hold by its original duration. Possible once.

    Raises `BookingNotFound`, `PermissionDenied`, `BookingCancelled`, `HoldExpired`, `EventNotOpen`, `BookingNotHeld`
    or `AlreadyExtended`.
    """
    with locked_booking(actor, booking_id) as (_, booking, event, now):
        precondition(booking)
        _require_active(booking)
        require_changeable(event, by_organizer=True, now=now)
        require_admitted(booking, event)
        if booking.status is not BookingStatus.HELD or booking.held_until is None or booking.hold_minutes is None:
            raise BookingNotHeld
        if booking.is_extended:
            raise AlreadyExtended
        booking.held_until += timedelta(minutes=booking.hold_minutes)
        booking.is_extended = True
        booking.version += 1
    return booking


def cancel_booking(*, actor: Actor, booking_id: UUID, precondition: Precondition = no_precondition) -> Booking:
    """Cancel a booking, release its tickets or its place on the waiting list, and email the guest.

    The guest gets no email if they were never notified of the hold, or if the booking has expired. Cancelling again
    changes nothing. Raises `BookingNotFound`, `PermissionDenied`, or `EventNotOpen` if bookings can no longer change.
    """
    with locked_booking(actor, booking_id) as (tx, booking, event, now):
        if booking.status is BookingStatus.CANCELLED:
            return booking
        precondition(booking)
        require_changeable(event, by_organizer=may(actor, Action.MANAGE_BOOKINGS, event), now=now)
        was_expired = booking.status is BookingStatus.EXPIRED
        for statement in release(event, booking.counts, booking.status):
            run(statement)
        booking.status = BookingStatus.CANCELLED
        booking.cancelled_at = now
        booking.version += 1
        _refresh_position(booking)
        if booking.was_announced and not was_expired:
            outbox.queue_email(tx, **email_about(EmailKind.BOOKING_CANCELLED, booking, event, booking.sender))
        serve_waiting_list(tx, event, now=now)
    return booking


def resend_confirmation(
    *,
    actor: Actor,
    booking_id: UUID,
    precondition: Precondition = no_precondition,
    request: IdempotentRequest | None = None,
) -> OutboxEmail:
    """Send the confirmation to the current guest again, with the current details. Returns the pending email.

    Locks the booking, so that no confirmation follows a cancellation. Raises `BookingNotFound`, `PermissionDenied`,
    `BookingCancelled`, `BookingNotConfirmed`, `EventEnded` or `IdempotencyKeyReused`.
    """
    with locked_booking(actor, booking_id) as (tx, booking, event, now):
        precondition(booking)
        if booking.status is BookingStatus.CANCELLED:
            raise BookingCancelled
        if booking.status is not BookingStatus.CONFIRMED:
            raise BookingNotConfirmed
        if event.ends_at <= now:
            raise EventEnded("The event has ended.")
        email = outbox.queue_email(tx, **email_about(EmailKind.BOOKING_CONFIRMED, booking, event, booking.sender))
        store_response(request, actor.id, email)
    return email


def _require_active(booking: Booking) -> None:
    if booking.status is BookingStatus.CANCELLED:
        raise BookingCancelled
    if booking.status not in ACTIVE:
        raise HoldExpired


def _refresh_position(booking: Booking) -> None:
    db.session.flush()
    db.session.refresh(booking, ["position", "tickets_ahead", "updated_at"])
