"""Emails to all guests of an event: one row per change, which a worker expands into one email per booking.

Cancelling an event with 50,000 bookings inserts one row, so the request does not hold the event's lock while 50,000
emails are written. Each batch of emails is written in the same transaction as the broadcast's progress, and emails are
unique per broadcast, booking and recipient. Therefore no guest is missed or emailed twice. Where possible, all emails
to an address are written in one batch, because they are then sent as one message.

An account that booked only for other people also receives one email, about its first booking.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import joinedload

from bookings_api.database.clock import database_time
from bookings_api.database.transactions import Transaction, require_transaction
from bookings_api.extensions import db
from bookings_api.mail import outbox
from bookings_api.models import ACTIVE, Booking, BookingStatus, EmailKind, Event, EventBroadcast, OutboxEmail, User
from bookings_api.models.payloads import buyer_payload, event_payload, guest_payload
from bookings_api.observability.logging import current_request_id

BATCH = 500


def queue_broadcast(tx: Transaction, event: Event, kind: EmailKind) -> None:
    """Insert a broadcast that describes `event`. After the commit, a worker expands the broadcast into emails.

    Notices about changes are delayed by `NOTICE_DELAY_SECONDS`, unless the event ends within that time. A later
    broadcast replaces a notice that is still waiting.

    A cancellation is sent for the bookings that were cancelled together with the event. A notice about a change is sent
    for the confirmed, held and waiting bookings that were made before the change. These bookings are selected by the
    event's version, which is assigned under the event's lock. Times would be unreliable, because the clocks of machines
    may differ.
    """
    delay = timedelta(seconds=current_app.config["NOTICE_DELAY_SECONDS"])
    if kind is not EmailKind.EVENT_CHANGED or event.ends_at <= database_time() + delay:
        delay = timedelta(0)
    replaced = sa.select(sa.func.min(EventBroadcast.due_at)).where(
        EventBroadcast.event_id == event.id, EventBroadcast.finished_at.is_(None)
    )
    db.session.add(
        EventBroadcast(
            kind=kind,
            event_id=event.id,
            payload=event_payload(event),
            request_id=current_request_id(),
            event_version=event.version,
            # Not later than the broadcast that it replaces. Otherwise frequent changes would delay the email forever.
            due_at=sa.func.least(sa.func.now() + delay, replaced.scalar_subquery()),
        )
    )
    tx.after_commit(outbox.wake_worker)


def write_next_batch() -> bool:
    """Write the next emails of the oldest due broadcast. Returns False if no broadcast is due.

    Skips broadcasts that another worker is expanding.
    """
    require_transaction()
    unfinished = (
        sa.select(EventBroadcast)
        # skips kinds added by a newer release, because this release cannot render them
        .where(
            EventBroadcast.finished_at.is_(None),
            EventBroadcast.due_at <= sa.func.now(),
            EventBroadcast.kind.in_(EmailKind),
        )
        .order_by(EventBroadcast.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    broadcast = db.session.scalars(unfinished, execution_options={"populate_existing": True}).one_or_none()
    if broadcast is None:
        return False
    if broadcast.kind is EmailKind.EVENT_CHANGED and _is_superseded(broadcast):
        # the later broadcast describes the current event, and its emails might be sent before these
        broadcast.finished_at = sa.func.now()
        return True
    address = sa.func.lower(Booking.guest_email)
    page = db.session.execute(_next_bookings(broadcast, Booking.id, address).order_by(Booking.id).limit(BATCH)).all()
    if len(page) < BATCH:
        broadcast.finished_at = sa.func.now()
    of_page = _next_bookings(broadcast, Booking).where(address.in_([address for _, address in page]))
    # Also reads the same guests' later bookings. A guest with too many bookings for the limit gets several messages.
    of_page = of_page.options(joinedload(Booking.user)).order_by(Booking.id).limit(2 * BATCH)
    bookings = db.session.scalars(of_page).all()
    notified = _buyers_notified_anyway(broadcast, bookings)
    if page:
        broadcast.last_booking_id, _ = page[-1]
    outbox.recheck_waiting([booking.id for booking in bookings])
    for booking in bookings:
        _add_email(broadcast, booking, booking.guest_email, guest_payload(broadcast.payload, booking, booking.sender))
        if booking.user and booking.user.id not in notified:
            notified.add(booking.user.id)
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
        event_id=broadcast.event_id,
        request_id=broadcast.request_id,
    )


def _is_superseded(broadcast: EventBroadcast) -> bool:
    later = sa.select(EventBroadcast.id).where(
        EventBroadcast.event_id == broadcast.event_id, EventBroadcast.event_version > broadcast.event_version
    )
    return db.session.scalars(later.limit(1)).one_or_none() is not None


def _next_bookings(broadcast: EventBroadcast, *columns: Any) -> sa.Select[Any]:
    query = sa.select(*columns).where(_is_affected(broadcast), ~_has_email(broadcast))
    return query if broadcast.last_booking_id is None else query.where(Booking.id > broadcast.last_booking_id)


def _has_email(broadcast: EventBroadcast) -> sa.ColumnElement[bool]:
    return sa.exists().where(OutboxEmail.broadcast_id == broadcast.id, OutboxEmail.booking_id == Booking.id)


def _is_affected(broadcast: EventBroadcast) -> sa.ColumnElement[bool]:
    if broadcast.kind is EmailKind.EVENT_CANCELLED:
        affected = (Booking.status == BookingStatus.CANCELLED) & (Booking.event_version == broadcast.event_version)
    else:
        affected = Booking.status.in_(ACTIVE) & (Booking.event_version < broadcast.event_version)
    return (Booking.event_id == broadcast.event_id) & affected


def _buyers_notified_anyway(broadcast: EventBroadcast, bookings: Sequence[Booking]) -> set[UUID]:
    """Return the IDs of buyers who need no extra email: guests, and buyers who got an email in an earlier batch."""
    guests = sa.select(sa.func.lower(Booking.guest_email)).where(_is_affected(broadcast))
    had_booking = sa.exists().where(Booking.user_id == User.id, _is_affected(broadcast), _has_email(broadcast))
    buyers = {booking.user_id for booking in bookings if booking.user_id}
    query = sa.select(User.id).where(User.id.in_(buyers), sa.func.lower(User.email).in_(guests) | had_booking)
    return set(db.session.scalars(query))
