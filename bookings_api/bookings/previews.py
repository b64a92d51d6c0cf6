"""Checks what an order would do, without booking anything."""

from dataclasses import replace
from uuid import UUID

from bookings_api.bookings.locking import Inquiry, peek_at_facts
from bookings_api.bookings.order import Facts, Order, Plan
from bookings_api.bookings.ordering import inquiry_about
from bookings_api.bookings.rules import evaluate
from bookings_api.bookings.turns import turns
from bookings_api.database.transactions import rolled_back_transaction
from bookings_api.errors import DomainError, LoginEnded
from bookings_api.inventory.holds import end_expired_holds
from bookings_api.inventory.locking import lock_event
from bookings_api.models import Booking
from bookings_api.permissions import Action, require_key_may


def preview_order(
    *, order: Order, login_id: UUID | None = None, key_hash: bytes | None = None
) -> Plan | Booking | list[DomainError]:
    """Return the plan for an order, the existing booking with its external ID, or all reasons to refuse the order.

    The outcome can differ a moment later. Raises `InvalidApiKey`, `LoginEnded`, `PermissionDenied` and the errors of
    `evaluate`.
    """
    inquiry = inquiry_about(order, login_id, key_hash, None)
    facts = peek_at_facts(inquiry)
    if facts.actor is None:
        raise LoginEnded
    require_key_may(facts.actor, Action.MANAGE_BOOKINGS)
    if facts.has_expired_holds:
        facts = _facts_without_expired_holds(inquiry)
    if facts.actor is None:
        raise LoginEnded
    return evaluate(facts, facts.actor, order)


def _facts_without_expired_holds(inquiry: Inquiry) -> Facts:
    """Return the facts as they would be once expired holds have ended and the waiting list has been served."""
    with turns.turn(inquiry.event_id), rolled_back_transaction() as tx:
        event, now = lock_event(inquiry.event_id)
        end_expired_holds(tx, event, now=now)
        return replace(peek_at_facts(inquiry), now=now)  # as of the lock, even if another hold has expired since
