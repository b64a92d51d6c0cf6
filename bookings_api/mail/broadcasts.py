"""Emails to all guests of an event: one row per change, which a worker expands into one email per booking.

Cancelling an event with 50,000 bookings inserts one row, so neither the request nor the event's lock waits for 50,000
emails. No guest is missed or emailed twice: a batch of emails and the broadcast's progress are one transaction, and an
email is unique per broadcast, booking and recipient.

An account that booked only for other addresses is notified as well, once, with its first booking.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from bookings_api.database.transactions import Transaction, require_transaction
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import Booking, BookingStatus, EmailKind, Event, EventBroadcast, User
from bookings_api.models.payloads import buyer_payload, event_payload, guest_payload
from bookings_api.observability.logging import current_request_id

BATCH = 500


def queue_broadcast(tx: Transaction, event: Event, kind: EmailKind) -> None:
    """Write a broadcast about the current version of `event`. A worker expands it after the commit.

    A cancellation goes to the bookings cancelled with that version of the event. Any other kind goes to the confirmed
    bookings that were made under an earlier version. Versions are reliable because they are assigned under the event's
    lock; times are not, because the clocks of two machines may differ.
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
    """Write the next emails of the oldest unfinished broadcast. Returns False if there is nothing to do.

    Skips a broadcast that another worker is expanding.
    """
    require_transaction()
    unfinished = (
        sa.select(EventBroadcast)
        # workers of an older release cannot render kinds added by a newer one
        .where(EventBroadcast.finished_at.is_(None), EventBroadcast.kind.in_(EmailKind))
        .order_by(EventBroadcast.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    broadcast = db.session.scalars(unfinished, execution_options={"populate_existing": True}).one_or_none()
    if broadcast is None:
        return False
    if broadcast.kind is EmailKind.EVENT_CHANGED and _is_superseded(broadcast):
        # the later broadcast describes the event's current state, and these emails could arrive after its own
        broadcast.finished_at = sa.func.now()
        return True
    bookings = db.session.scalars(_next_bookings(broadcast)).all()
    notified = _notified_otherwise(broadcast, bookings)
    if len(bookings) < BATCH:
        broadcast.finished_at = sa.func.now()
    if bookings:
        broadcast.last_booking_id = bookings[-1].id
    outbox.recheck_waiting([booking.id for booking in bookings])
    for booking in bookings:
        _add_email(broadcast, booking, booking.guest_email, guest_payload(booking, booking.user))
        if booking.user_id not in notified:
            notified.add(booking.user_id)
            _add_email(broadcast, booking, booking.user.email, buyer_payload(booking.user))
    return True


def _add_email(broadcast: EventBroadcast, booking: Booking, recipient: str, payload: dict[str, Any]) -> None:
    outbox.add_email(
        kind=broadcast.kind,
        recipient=recipient,
        payload=broadcast.payload | payload,
        booking_id=booking.id,
        user_id=booking.user_id,
        broadcast_id=broadcast.id,
        request_id=broadcast.request_id,
    )


def _is_superseded(broadcast: EventBroadcast) -> bool:
    later = sa.select(EventBroadcast.id).where(
        EventBroadcast.event_id == broadcast.event_id, EventBroadcast.event_version > broadcast.event_version
    )
    return db.session.scalars(later.limit(1)).one_or_none() is not None


def _next_bookings(broadcast: EventBroadcast) -> sa.Select[Any]:
    query = sa.select(Booking).where(_is_affected(broadcast)).options(joinedload(Booking.user))
    if broadcast.last_booking_id is not None:
        query = query.where(Booking.id > broadcast.last_booking_id)
    return query.order_by(Booking.id).limit(BATCH)


def _is_affected(broadcast: EventBroadcast) -> sa.ColumnElement[bool]:
    if broadcast.kind is EmailKind.EVENT_CANCELLED:
        affected = (Booking.status == BookingStatus.CANCELLED) & (Booking.event_version == broadcast.event_version)
    else:
        affected = (Booking.status == BookingStatus.CONFIRMED) & (Booking.event_version < broadcast.event_version)
    return (Booking.event_id == broadcast.event_id) & affected


def _notified_otherwise(broadcast: EventBroadcast, bookings: Sequence[Booking]) -> set[UUID]:
    """Return the buyers of `bookings` who are guests themselves, or whose bookings began in an earlier batch."""
    is_guest = sa.func.lower(Booking.guest_email) == sa.func.lower(User.email)
    is_earlier = Booking.id <= broadcast.last_booking_id if broadcast.last_booking_id else sa.false()
    query = (
        sa.select(Booking.user_id)
        .join(Booking.user)
        .where(_is_affected(broadcast), Booking.user_id.in_({b.user_id for b in bookings}), is_guest | is_earlier)
        .distinct()
    )
    return set(db.session.scalars(query))
