"""Emails to the guests of bookings."""

from collections.abc import Sequence

from bookings_api.database.transactions import Transaction
from bookings_api.mail import outbox
from bookings_api.models import Booking, EmailKind, Event, User
from bookings_api.models.payloads import event_payload, guest_payload


def email_about(kind: EmailKind, booking: Booking, event: Event, sender: User | None) -> outbox.NewEmail:
    """Return the arguments for an email to the guest."""
    return {
        "kind": kind,
        "recipient": booking.guest_email,
        "payload": guest_payload(event_payload(event), booking, sender),
        "booking_id": booking.id,
        "user_id": booking.user_id,
    }


def notify(tx: Transaction, kind: EmailKind, event: Event, bookings: Sequence[Booking]) -> None:
    """Add an email about each booking to the outbox. The users of the bookings must be loaded."""
    outbox.recheck_waiting([booking.id for booking in bookings])
    for booking in bookings:
        outbox.add_email(**email_about(kind, booking, event, booking.sender))
    tx.after_commit(outbox.wake_worker)
