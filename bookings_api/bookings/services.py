"""Services that book tickets, change and cancel bookings, and resend confirmations."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from bookings_api.accounts.actors import record_use, use_to_record
from bookings_api.bookings.changes import change_tickets, require_allowed_for_person
from bookings_api.bookings.items import counts_of
from bookings_api.bookings.locking import Inquiry, is_external_id_taken, lock_and_read_facts, peek_at_facts
from bookings_api.bookings.queries import get_booking, lock_booking
from bookings_api.bookings.rules import Facts, Order, Plan, decide, require_changeable
from bookings_api.bookings.turns import recent_refusals, turns
from bookings_api.bookings.writes import ADMIT, INSERT_BOOKING, INSERT_EMAIL, insert_items, release, take
from bookings_api.database.changes import apply_changes
from bookings_api.database.prepared import run
from bookings_api.database.transactions import (
    Precondition,
    RowLockedTransaction,
    Transaction,
    end_reading,
    no_precondition,
    row_locked,
    transaction,
)
from bookings_api.errors import (
    BookingCancelled,
    DomainError,
    EventEnded,
    EventNotFound,
    EventNotOpen,
    ExternalIdTaken,
    IdempotencyKeyReused,
    SoldOut,
)
from bookings_api.idempotency import IdempotentRequest, is_key_taken, store_response
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, Event, IdempotencyKey, OutboxEmail, User
from bookings_api.models.booking import new_reference
from bookings_api.models.payloads import event_payload, guest_payload
from bookings_api.permissions import Action, Actor, may


class Booked(NamedTuple):
    """The outcome of an order: a new booking, or the result of an earlier identical request.

    The earlier result is a stored response (same `Idempotency-Key`) or a booking (same external ID).
    """

    booking: Booking | IdempotencyKey
    is_new: bool


def book_tickets(
    *,
    order: Order,
    login_id: UUID | None = None,
    key_hash: bytes | None = None,
    request: IdempotentRequest | None = None,
) -> Booked:
    """Book tickets with a login or an API key. A repeated request returns the earlier result.

    Locks the event while checking availability, so that concurrent requests cannot oversell it. Checks the login or
    key under the same lock. Raises `InvalidApiKey` and the errors of `decide`.
    """
    inquiry = Inquiry(
        order.event_id, login_id, key_hash, request.key if request else None, order.external_id, order.guest_email
    )
    facts: Facts | None = None
    try:
        if order.event_id in recent_refusals:
            facts = peek_at_facts(inquiry)
            plan = decide(facts, order, request)
            if not isinstance(plan, Plan):
                return Booked(plan, is_new=False)
        with turns.turn(order.event_id), row_locked() as tx:
            facts = lock_and_read_facts(tx, inquiry)
            plan = decide(facts, order, request)
            if not isinstance(plan, Plan):
                return Booked(plan, is_new=False)
            return Booked(_book(tx, plan, order, request), is_new=True)
    except DomainError as error:
        if facts and facts.actor:
            record_use(facts.actor, now=facts.now)
        if isinstance(error, (EventNotFound, EventNotOpen, SoldOut)):
            recent_refusals.note(order.event_id)
        raise


def change_booking(
    *, actor: Actor, booking_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> Booking:
    """Change a booking's tickets or guest. Notifies the guest and, if the guest is replaced, the former guest.

    Organizers can change bookings until the event ends, even after booking has closed. Raises `BookingNotFound`,
    `PermissionDenied`, `BookingCancelled`, `EventNotOpen`, `InvalidFields`, `SalesClosed`, `TooManyTickets`,
    `TooManyForPerson` or `SoldOut`.
    """
    with _locked(actor, booking_id) as (tx, booking, event, now):
        precondition(booking)
        if booking.status is BookingStatus.CANCELLED:
            raise BookingCancelled
        by_organizer = may(actor, Action.MANAGE_BOOKINGS, event)
        require_changeable(event, by_organizer=by_organizer, now=now)
        former = _email(EmailKind.BOOKING_REASSIGNED, booking, event, booking.sender)
        former_count = booking.ticket_count
        has_other_tickets = change_tickets(booking, event, changes, by_organizer=by_organizer, now=now)
        guest = {name: value for name, value in changes.items() if name not in {"items", "ticket_count"}}
        if not apply_changes(booking, guest):
            if not has_other_tickets:
                return booking
            booking.version += 1
        require_allowed_for_person(booking, event, former_count=former_count, former_guest=former["recipient"])
        kind, sender = EmailKind.BOOKING_CHANGED, booking.sender
        if former["recipient"].lower() != booking.guest_email.lower():
            # calendar programs ignore a cancellation whose version is not higher than that of the entry
            former["payload"]["booking_version"] = booking.version
            outbox.queue_email(tx, **former)
            buyer = booking.user
            is_buyers = buyer and (buyer.id == actor.id or buyer.email.lower() == booking.guest_email.lower())
            booking.guest_chosen_by_id = actor.user.id if actor.user and not is_buyers else None
            kind, sender = EmailKind.BOOKING_CONFIRMED, buyer if is_buyers else actor.user
        outbox.queue_email(tx, **_email(kind, booking, event, sender))
    return booking


def cancel_booking(*, actor: Actor, booking_id: UUID, precondition: Precondition = no_precondition) -> Booking:
    """Cancel a booking, release its tickets and email the guest. Cancelling again changes nothing.

    Raises `BookingNotFound`, `PermissionDenied`, or `EventNotOpen` if bookings can no longer change.
    """
    with _locked(actor, booking_id) as (tx, booking, event, now):
        if booking.status is BookingStatus.CANCELLED:
            return booking
        precondition(booking)
        require_changeable(event, by_organizer=may(actor, Action.MANAGE_BOOKINGS, event), now=now)
        for statement in release(event, counts_of(booking)):
            run(statement)
        booking.status = BookingStatus.CANCELLED
        booking.cancelled_at = now
        booking.version += 1
        outbox.queue_email(tx, **_email(EmailKind.BOOKING_CANCELLED, booking, event, booking.sender))
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
    `BookingCancelled`, `EventEnded` or `IdempotencyKeyReused`.
    """
    with _locked(actor, booking_id) as (tx, booking, event, now):
        precondition(booking)
        if booking.status is BookingStatus.CANCELLED:
            raise BookingCancelled
        if event.ends_at <= now:
            raise EventEnded("The event has ended.")
        email = outbox.queue_email(tx, **_email(EmailKind.BOOKING_CONFIRMED, booking, event, booking.sender))
        store_response(request, actor.id, email)
    return email


@contextmanager
def _locked(actor: Actor, booking_id: UUID) -> Iterator[tuple[Transaction, Booking, Event, datetime]]:
    """Wait for a turn without holding a connection, then lock the event and the booking.

    Raises `BookingNotFound`, and `PermissionDenied` if the actor may see the booking but not change it.
    """
    event_id = get_booking(booking_id, viewer=actor).event_id
    end_reading()
    with turns.turn(event_id), transaction() as tx:
        yield tx, *lock_booking(actor, booking_id, event_id=event_id)


def _book(tx: RowLockedTransaction, plan: Plan, order: Order, request: IdempotentRequest | None) -> Booking:
    """Write and commit the booking, its confirmation email and the response to store."""
    actor, user, key, event, now = plan.actor, plan.actor.user, plan.actor.key, plan.event, plan.now
    columns = {
        "id": uuid7(),
        "reference": new_reference(),
        "event_id": event.id,
        "user_id": user and user.id,
        "api_key_id": key and key.id,
        "booked_by": key and key.name,
        "organization_id": key and key.organization_id,
        "external_id": order.external_id,
        "external_request_hash": order.hash if order.external_id else None,
        "client_metadata": order.metadata,
        "ticket_count": sum(item.count for item in plan.items),
        "guest_name": order.guest_name or (user and (user.name or user.email)),
        "guest_email": order.guest_email or (user and user.email),
        "status": BookingStatus.CONFIRMED,
        "version": 1,
        "event_version": event.version,
        "created_at": now,
        "updated_at": now,
        "cancelled_at": None,
        "reminded_for": None,
        "guest_chosen_by_id": None,
    }
    items = [
        {"ticket_type_id": str(item.ticket_type.id), "name": item.ticket_type.name, "count": item.count}
        for item in plan.items
    ]
    booking = Booking.from_row(**columns, items=items)
    email = outbox.email_columns(**_email(EmailKind.BOOKING_CONFIRMED, booking, event, user))
    counts = {item.ticket_type.id: item.count for item in plan.items}
    writes = [
        *take(event, counts),
        INSERT_BOOKING.with_values(**columns),
        *insert_items(booking.id, counts),
        INSERT_EMAIL.with_values(**email),
    ]
    if plan.is_newcomer and user:
        writes.append(ADMIT.with_values(organization_id=event.organization_id, user_id=user.id))
    if request:
        writes.append(request.record(actor.id, booking))
    writes += use_to_record(actor, now=now)
    tx.after_commit(outbox.wake_worker)
    try:
        tx.write_and_commit(*writes)
    except IntegrityError as error:
        # A retry would have waited for this event's lock, so the conflicting request must be for another event.
        if is_key_taken(error):
            raise IdempotencyKeyReused from None
        if is_external_id_taken(error):
            raise ExternalIdTaken from None
        raise
    return booking


def _email(kind: EmailKind, booking: Booking, event: Event, sender: User | None) -> outbox.NewEmail:
    return {
        "kind": kind,
        "recipient": booking.guest_email,
        "payload": guest_payload(event_payload(event), booking, sender),
        "booking_id": booking.id,
        "user_id": booking.user_id,
    }
