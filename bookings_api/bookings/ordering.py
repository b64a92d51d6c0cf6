"""Books tickets, holds them, or puts an order on the waiting list."""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from bookings_api.accounts.actors import record_use, use_to_record
from bookings_api.bookings.emails import announcement_of
from bookings_api.bookings.locking import Inquiry, is_external_id_taken, lock_and_read_facts, peek_at_facts
from bookings_api.bookings.order import Facts, Order, Plan
from bookings_api.bookings.rules import HoldsExpired, decide
from bookings_api.bookings.turns import recent_refusals, turns
from bookings_api.bookings.writes import ADMIT, INSERT_BOOKING, INSERT_EMAIL, insert_items
from bookings_api.database.transactions import RowLockedTransaction, row_locked, transaction
from bookings_api.errors import (
    DomainError,
    EventNotFound,
    EventNotOpen,
    ExternalIdTaken,
    IdempotencyKeyReused,
    OthersWaiting,
    SoldOut,
)
from bookings_api.idempotency import IdempotentRequest, is_key_taken
from bookings_api.inventory.counters import take
from bookings_api.inventory.holds import end_expired_holds
from bookings_api.inventory.locking import lock_event
from bookings_api.inventory.notices import email_about
from bookings_api.inventory.queue import queue_from, read_queue
from bookings_api.inventory.sweep import bring_up_to_date
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, IdempotencyKey, WaitlistPolicy
from bookings_api.models.booking import new_reference


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
    inquiry = inquiry_about(order, login_id, key_hash, request.key if request else None)
    facts: Facts | None = None
    try:
        if order.event_id in recent_refusals:
            facts = peek_at_facts(inquiry)
            earlier = _decide_early(facts, order, request)
            if earlier is not None:
                return Booked(earlier, is_new=False)
        with turns.turn(order.event_id):
            while True:
                try:
                    with row_locked() as tx:
                        facts = lock_and_read_facts(tx, inquiry)
                        plan = decide(facts, order, request)
                        if not isinstance(plan, Plan):
                            return Booked(plan, is_new=False)
                        booking = _book(tx, plan, order, request)
                    if facts.has_waiting and _may_unblock_others(plan):
                        bring_up_to_date(order.event_id)
                    return Booked(booking, is_new=True)
                except HoldsExpired:
                    _end_holds(order.event_id)
    except DomainError as error:
        if facts and facts.actor:
            record_use(facts.actor, now=facts.now)
        if isinstance(error, (EventNotFound, EventNotOpen, SoldOut, OthersWaiting)):
            recent_refusals.note(order.event_id)
        raise


def inquiry_about(order: Order, login_id: UUID | None, key_hash: bytes | None, key: str | None) -> Inquiry:
    """Return the values used to look up the facts about an order."""
    return Inquiry(order.event_id, login_id, key_hash, key, order.external_id, order.guest_email)


def _decide_early(facts: Facts, order: Order, request: IdempotentRequest | None) -> Booking | IdempotencyKey | None:
    """Refuse the order or return its earlier result, without the lock. Returns None if the lock is needed."""
    try:
        plan = decide(facts, order, request)
    except HoldsExpired:
        return None
    return None if isinstance(plan, Plan) else plan


def _may_unblock_others(plan: Plan) -> bool:
    """Whether the person may now have too many tickets for another party of theirs to block those behind it."""
    event = plan.event
    has_limit, is_strict = event.max_tickets_per_person is not None, event.waitlist_policy is WaitlistPolicy.STRICT
    return plan.status is not BookingStatus.WAITLISTED and has_limit and is_strict


def _end_holds(event_id: UUID) -> None:
    with transaction() as tx:
        event, now = lock_event(event_id, include_deleted=True)
        end_expired_holds(tx, event, now=now)


def _book(tx: RowLockedTransaction, plan: Plan, order: Order, request: IdempotentRequest | None) -> Booking:
    """Write and commit the booking, the email that announces it, and the response to store."""
    actor, user, event, now = plan.actor, plan.actor.user, plan.event, plan.now
    columns = _columns(plan, order)
    items = [item.as_json() for item in plan.items]
    booking = Booking.from_row(**columns, items=items, position=None, tickets_ahead=None)
    if plan.status is BookingStatus.WAITLISTED:
        queue = queue_from(tx.read(read_queue(event.id)))
        booking.position, booking.tickets_ahead = queue.parties + 1, queue.tickets
    counts = {item.ticket_type.id: item.count for item in plan.items}
    writes = [
        *take(event, counts, plan.status),
        INSERT_BOOKING.with_values(**columns),
        *insert_items(booking.id, plan.items),
    ]
    if kind := announcement_of(booking):
        writes.append(INSERT_EMAIL.with_values(**outbox.email_columns(**email_about(kind, booking, event, user))))
        tx.after_commit(outbox.wake_worker)
    if plan.is_new_customer and user:
        writes.append(ADMIT.with_values(organization_id=event.organization_id, user_id=user.id))
    if request:
        writes.append(request.record(actor.id, booking))
    writes += use_to_record(actor, now=now)
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


def _columns(plan: Plan, order: Order) -> dict[str, Any]:
    user, key, now, status = plan.actor.user, plan.actor.key, plan.now, plan.status
    is_held, is_waiting = status is BookingStatus.HELD, status is BookingStatus.WAITLISTED
    return {
        "id": uuid7(),
        "reference": new_reference(),
        "event_id": plan.event.id,
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
        "status": status,
        "version": 1,
        "event_version": plan.event.version,
        "created_at": now,
        "updated_at": now,
        "cancelled_at": None,
        "confirmed_at": now if status is BookingStatus.CONFIRMED else None,
        "amount_due": plan.amount_due,
        "currency": plan.event.currency if plan.amount_due else None,
        "amount_paid": 0,
        "has_refused_payment": False,
        "held_until": now + timedelta(minutes=plan.hold_minutes) if is_held and plan.hold_minutes else None,
        "hold_minutes": plan.hold_minutes,
        "is_extended": False,
        "waitlisted_at": now if is_waiting else None,
        "accept_fewer": order.accept_fewer if is_waiting else None,
        "reminded_for": None,
        "guest_chosen_by_id": None,
    }
