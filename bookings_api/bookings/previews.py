"""Checks what an order would do, without booking anything."""

from dataclasses import replace
from uuid import UUID

from bookings_api.bookings.locking import peek_at_facts
from bookings_api.bookings.ordering import inquiry_about
from bookings_api.bookings.orders import Facts, Order, Plan
from bookings_api.bookings.rules import evaluate
from bookings_api.errors import DomainError, LoginEnded
from bookings_api.inventory.holds import expired_counts
from bookings_api.models import Booking
from bookings_api.permissions import Action, require_key_may


def preview_order(
    *, order: Order, login_id: UUID | None = None, key_hash: bytes | None = None
) -> Plan | Booking | list[DomainError]:
    """Return the plan for an order, the existing booking with its external ID, or all reasons to refuse the order.

    Takes no lock, so the outcome can differ a moment later. Raises `InvalidApiKey`, `LoginEnded`, `PermissionDenied`
    and the errors of `evaluate`.
    """
    facts = peek_at_facts(inquiry_about(order, login_id, key_hash, None))
    if facts.actor is None:
        raise LoginEnded
    require_key_may(facts.actor, Action.MANAGE_BOOKINGS)
    return evaluate(_without_expired_holds(facts), facts.actor, order)


def _without_expired_holds(facts: Facts) -> Facts:
    """Return the facts as if expired holds had ended. Their tickets go to people who wait, or else are available."""
    if facts.event is not None and facts.has_expired_holds and not facts.has_waiting:
        counts = expired_counts(facts.event)
        facts.event.tickets_held -= sum(counts.values())
        for ticket_type in facts.ticket_types:
            ticket_type.tickets_held -= counts.get(ticket_type.id, 0)
    return replace(facts, first_hold_ends=None)
