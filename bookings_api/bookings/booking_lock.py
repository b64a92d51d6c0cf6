"""Locks a booking for a change."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from bookings_api.bookings.queries import get_booking, lock_booking
from bookings_api.bookings.turns import turns
from bookings_api.database.transactions import Transaction, end_reading, transaction
from bookings_api.errors import PermissionDenied
from bookings_api.inventory.access import is_admitted
from bookings_api.inventory.holds import end_expired_holds
from bookings_api.inventory.locking import lock_event
from bookings_api.models import Booking, Event
from bookings_api.permissions import Actor


@contextmanager
def locked_booking(actor: Actor, booking_id: UUID) -> Iterator[tuple[Transaction, Booking, Event, datetime]]:
    """Wait for a turn without holding a connection, then lock the event and the booking. Yields both with the time.

    Ends the event's expired holds, because they could include the booking. Raises `BookingNotFound`, and
    `PermissionDenied` if the actor may see the booking but not change it.
    """
    event_id = get_booking(booking_id, viewer=actor).event_id
    end_reading()
    with turns.turn(event_id), transaction() as tx:
        event, now = lock_event(event_id, include_deleted=True)
        if event.tickets_held:
            end_expired_holds(tx, event, now=now)
        yield tx, lock_booking(actor, booking_id, event=event), event, now


def require_admitted(booking: Booking, event: Event) -> None:
    """Raise `PermissionDenied` if the organization has revoked the access of the account that made the booking."""
    if not is_admitted(booking, event):
        raise PermissionDenied("The organization does not accept bookings from this account.")
