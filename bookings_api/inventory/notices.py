"""Emails about bookings that the service itself has changed: promotions, and offers or waits that have expired."""

from collections.abc import Sequence

from bookings_api.database.transactions import Transaction
from bookings_api.mail import outbox
from bookings_api.models import Booking, EmailKind, Event
from bookings_api.models.payloads import event_payload, guest_payload


def notify(tx: Transaction, kind: EmailKind, event: Event, bookings: Sequence[Booking]) -> None:
    """Add an email about each booking to the outbox. The users of the bookings must be loaded."""
    outbox.recheck_waiting([booking.id for booking in bookings])
    about_event = event_payload(event)
    for booking in bookings:
        outbox.add_email(
            kind=kind,
            recipient=booking.guest_email,
            payload=guest_payload(about_event, booking, booking.sender),
            booking_id=booking.id,
            user_id=booking.user_id,
        )
    tx.after_commit(outbox.wake_worker)
