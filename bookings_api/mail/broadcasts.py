"""Mail to all guests of an event: one row with the change itself, written out in batches by a worker.

So cancelling an event with 50,000 bookings inserts one row, and neither the request nor the lock on the event
waits for 50,000. Nobody is left out or told twice: a batch of mails and the mark of how far they have come are one
transaction, and a mail is unique for its notice and booking.
"""

from typing import Any

import sqlalchemy as sa

from bookings_api.calendar.payloads import event_payload, guest_payload
from bookings_api.database.transactions import Transaction, require_transaction
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, Event, EventBroadcast, utcnow
from bookings_api.observability.logging import current_request_id

BATCH = 500


def queue_broadcast(tx: Transaction, event: Event, kind: EmailKind) -> None:
    """Write a broadcast about the current version of `event`; a worker starts on it after the commit.

    A cancellation goes to the bookings cancelled with that version of the event. Any other kind goes to the confirmed
    bookings that were made under an earlier version. Versions are compared, not times: the clocks of two machines may
    disagree about what came first, but the lock on the event decides it.
    """
    db.session.add(
        EventBroadcast(
            kind=kind,
            event_id=event.id,
            payload=event_payload(event),
            request_id=current_request_id(),
            event_version=event.version,
        )
    )
    tx.after_commit(outbox.wake_worker)


def write_next_batch() -> bool:
    """Write the next mails of the oldest notice that is unfinished; False when there is none to work on.

    One that another worker is at is passed over.
    """
    require_transaction()
    unfinished = (
        sa.select(EventBroadcast)
        # of a kind that only a newer release has words for, that one writes it
        .where(EventBroadcast.finished_at.is_(None), EventBroadcast.kind.in_(EmailKind))
        .order_by(EventBroadcast.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    notice = db.session.scalars(unfinished, execution_options={"populate_existing": True}).one_or_none()
    if notice is None:
        return False
    if notice.kind is EmailKind.EVENT_CHANGED and _is_superseded(notice):
        # the later one says how things stand; this one could reach a guest after it
        notice.finished_at = utcnow()
        return True
    bookings = db.session.scalars(_next_bookings(notice)).all()
    if len(bookings) < BATCH:
        notice.finished_at = utcnow()
    if bookings:
        notice.last_booking_id = bookings[-1].id
    for booking in bookings:
        outbox.add_email(
            kind=notice.kind,
            recipient=booking.guest_email,
            payload=notice.payload | guest_payload(booking),
            booking_id=booking.id,
            user_id=booking.user_id,
            broadcast_id=notice.id,
            request_id=notice.request_id,
        )
    return True


def _is_superseded(notice: EventBroadcast) -> bool:
    later = sa.select(EventBroadcast.id).where(
        EventBroadcast.event_id == notice.event_id, EventBroadcast.event_version > notice.event_version
    )
    return db.session.scalars(later.limit(1)).one_or_none() is not None


def _next_bookings(notice: EventBroadcast) -> sa.Select[Any]:
    if notice.kind is EmailKind.EVENT_CANCELLED:
        concerned = (Booking.status == BookingStatus.CANCELLED) & (Booking.event_version == notice.event_version)
    else:
        concerned = (Booking.status == BookingStatus.CONFIRMED) & (Booking.event_version < notice.event_version)
    query = sa.select(Booking).where(Booking.event_id == notice.event_id, concerned)
    if notice.last_booking_id is not None:
        query = query.where(Booking.id > notice.last_booking_id)
    return query.order_by(Booking.id).limit(BATCH)
