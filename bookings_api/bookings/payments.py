"""Confirms bookings, with or without a payment.

The service takes no money. Programs that take payments, such as checkout pages, report them. A payment that cannot
confirm its booking is recorded in the transaction that refuses it, so that no refund is forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bookings_api.bookings.booking_lock import locked_booking
from bookings_api.bookings.items import is_on_sale
from bookings_api.bookings.rules import require_open
from bookings_api.database.prepared import run
from bookings_api.database.transactions import Precondition, Transaction, no_precondition
from bookings_api.database.violations import violated_unique_constraint
from bookings_api.errors import (
    AlreadyPaid,
    BookingCancelled,
    DomainError,
    EventNotOpen,
    HoldExpired,
    OthersWaiting,
    PaymentMismatch,
    PaymentRequired,
    PermissionDenied,
)
from bookings_api.extensions import db
from bookings_api.inventory.access import is_admitted
from bookings_api.inventory.availability import TicketsLeft, ticket_types_of
from bookings_api.inventory.counters import take, turn_held_into_booked
from bookings_api.inventory.notices import email_about
from bookings_api.inventory.person_limit import exceeds_person_limit, tickets_of_person
from bookings_api.inventory.queue import queue_of
from bookings_api.inventory.waiting_list import serve_waiting_list
from bookings_api.mail import outbox
from bookings_api.models import (
    Booking,
    BookingStatus,
    EmailKind,
    Event,
    EventStatus,
    Payment,
    PaymentRefusal,
    TicketType,
)
from bookings_api.permissions import Action, Actor, may

_ERRORS: dict[PaymentRefusal, type[DomainError]] = {
    PaymentRefusal.HOLD_EXPIRED: HoldExpired,
    PaymentRefusal.BOOKING_CANCELLED: BookingCancelled,
    PaymentRefusal.ALREADY_PAID: AlreadyPaid,
    PaymentRefusal.PAYMENT_MISMATCH: PaymentMismatch,
    PaymentRefusal.WAITING_LIST: OthersWaiting,
}

_MESSAGES = {
    PaymentRefusal.HOLD_EXPIRED: "The hold has expired, and the tickets can no longer be booked.",
    PaymentRefusal.WAITING_LIST: "The booking is still on the waiting list.",
}
_USED = "This payment was already reported for another booking."


@dataclass(frozen=True)
class ReportedPayment:
    """A payment that a customer has made. `amount` is in minor units of `currency`, an ISO 4217 code."""

    provider: str
    reference: str
    amount: int
    currency: str


def confirm_booking(
    *,
    actor: Actor,
    booking_id: UUID,
    payment: ReportedPayment | None = None,
    precondition: Precondition = no_precondition,
) -> Booking:
    """Confirm a held booking. Repeating the request with the same payment changes nothing.

    If the hold has expired, the tickets are taken again if they are still available. Raises `BookingNotFound`,
    `PermissionDenied`, `PaymentRequired`, `PaymentMismatch`, `AlreadyPaid`, `BookingCancelled`, `HoldExpired` or
    `OthersWaiting`. If the error's `refund_due` is true, the payment is recorded and must be refunded.
    """
    with locked_booking(actor, booking_id) as (tx, booking, event, now):
        _require_may_confirm(actor, booking, event, payment)
        # repeated requests get the same response, even if their precondition is no longer met
        if payment is None and booking.status is BookingStatus.CONFIRMED:
            return booking
        if payment is not None and (known := _known_payment(booking, event, payment)):
            refusal = known.refusal
        else:
            precondition(booking)
            confirm = _confirm if payment is None else partial(_confirm_paid, payment=payment)
            refusal = confirm(tx, booking, event, now=now)
    # raised only after the commit, which records the payment
    if refusal is not None:
        raise _error(refusal, is_recorded=payment is not None)
    return booking


def _error(refusal: PaymentRefusal, *, is_recorded: bool) -> DomainError:
    error = _ERRORS[refusal]
    message = _MESSAGES.get(refusal, error.message)
    if not is_recorded:
        return error(message)
    return error(f"{message} The payment was recorded and must be refunded.", refund_due=True)


def _require_may_confirm(actor: Actor, booking: Booking, event: Event, payment: ReportedPayment | None) -> None:
    """Raise `PermissionDenied` if a buyer reports a payment, and `PaymentRequired` if a payment is missing."""
    if payment is not None and not may(actor, Action.MANAGE_BOOKINGS, event):
        raise PermissionDenied("Only organizers and API keys can confirm a booking with a payment.")
    if payment is None and booking.amount_due and booking.status in {BookingStatus.HELD, BookingStatus.EXPIRED}:
        raise PaymentRequired


def _known_payment(booking: Booking, event: Event, payment: ReportedPayment) -> Payment | None:
    """Return the payment if it was reported before. Raises `PaymentMismatch` if that report was different."""
    known = db.session.scalars(
        sa.select(Payment).where(
            Payment.organization_id == event.organization_id,
            Payment.provider == payment.provider,
            Payment.reference == payment.reference,
        )
    ).one_or_none()
    if known is not None:
        if known.booking_id != booking.id:
            raise PaymentMismatch(_USED, refund_due=False)
        if (known.amount, known.currency) != (payment.amount, payment.currency):
            message = "This payment was already recorded with a different amount or currency."
            raise PaymentMismatch(message, refund_due=False)
    return known


def _confirm_paid(
    tx: Transaction, booking: Booking, event: Event, *, payment: ReportedPayment, now: datetime
) -> PaymentRefusal | None:
    """Record the payment and confirm the booking. Returns why the payment is refused, or None."""
    refusal: PaymentRefusal | None
    if booking.status is BookingStatus.CONFIRMED:
        refusal = PaymentRefusal.ALREADY_PAID
    elif booking.status is BookingStatus.CANCELLED:
        refusal = PaymentRefusal.BOOKING_CANCELLED
    elif (payment.amount, payment.currency) != (booking.amount_due, booking.currency):
        refusal = PaymentRefusal.PAYMENT_MISMATCH
    else:
        refusal = _confirm(tx, booking, event, now=now)
    db.session.add(
        Payment(
            organization_id=event.organization_id,
            booking_id=booking.id,
            provider=payment.provider,
            reference=payment.reference,
            amount=payment.amount,
            currency=payment.currency,
            refusal=refusal,
        )
    )
    try:
        db.session.flush()
    except IntegrityError as error:
        # at the same time, the payment was reported for a booking of another event
        if violated_unique_constraint(error) == "uq_payments_organization_id_provider_reference":
            raise PaymentMismatch(_USED, refund_due=False) from None
        raise
    if refusal is None:
        booking.amount_paid = payment.amount
    else:
        booking.has_refused_payment = True
        booking.version += 1
    return refusal


def _confirm(tx: Transaction, booking: Booking, event: Event, *, now: datetime) -> PaymentRefusal | None:
    """Confirm a held or expired booking and email the guest. Returns why that is not possible, or None."""
    if booking.status is BookingStatus.CANCELLED:
        return PaymentRefusal.BOOKING_CANCELLED
    if booking.status is BookingStatus.WAITLISTED:
        return PaymentRefusal.WAITING_LIST
    if event.ends_at <= now:
        return PaymentRefusal.HOLD_EXPIRED
    was_expired = booking.status is BookingStatus.EXPIRED
    if booking.status is BookingStatus.HELD:
        writes = turn_held_into_booked(event, booking.counts)
    elif _can_take_again(booking, event, now=now):
        writes = take(event, booking.counts, BookingStatus.CONFIRMED)
        booking.event_version = event.version
    else:
        return PaymentRefusal.HOLD_EXPIRED
    for statement in writes:
        run(statement)
    booking.status = BookingStatus.CONFIRMED
    booking.confirmed_at = now
    booking.version += 1
    db.session.flush()
    outbox.queue_email(tx, **email_about(EmailKind.BOOKING_CONFIRMED, booking, event, booking.sender))
    if was_expired:  # the person may now have too many tickets for another party of theirs to block those behind it
        serve_waiting_list(tx, event, now=now)
    return None


def _can_take_again(booking: Booking, event: Event, *, now: datetime) -> bool:
    """Whether an expired booking can still get its tickets.

    The tickets must be left, and not set aside for the waiting list. Customers who have paid get them even after sales
    have closed. Free tickets must still be on sale, and still be free.
    """
    if event.status is not EventStatus.PUBLISHED or booking.held_until is None or not is_admitted(booking, event):
        return False
    if exceeds_person_limit(event, booking.ticket_count, booked=tickets_of_person(booking)):
        return False
    types = {one.id: one for one in ticket_types_of(event)}
    if not booking.counts.keys() <= types.keys():
        return False
    if not booking.amount_due and not _is_still_free(event, [types[one] for one in booking.counts], now=now):
        return False
    left = TicketsLeft(event, list(types.values()))
    left.set_aside(queue_of(event).claims)
    return left.largest_part(booking.counts) is not None


def _is_still_free(event: Event, types: Sequence[TicketType], *, now: datetime) -> bool:
    """Whether anyone could book free tickets of these types now."""
    try:
        require_open(event, now=now)
    except EventNotOpen:
        return False
    return all(is_on_sale(one, now=now) and not one.is_hidden and one.price == 0 for one in types)
