"""Finding bookings, and locking one."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from bookings_api.bookings.permissions import may_see
from bookings_api.database.transactions import require_transaction
from bookings_api.errors import BookingNotFound, NotAllowed
from bookings_api.events.queries import lock_event
from bookings_api.extensions import db
from bookings_api.models import Booking, BookingStatus, Event, OutboxEmail, User, utcnow


def bookings_of(
    user: User, *, status: BookingStatus | None = None, event_id: UUID | None = None, upcoming: bool | None = None
) -> sa.Select[Any]:
    """The bookings that `user` made, the newest first (a UUIDv7 grows with time).

    `upcoming` are those for events that have not begun; False, those for events that have.
    """
    query = _with_status(sa.select(Booking).where(Booking.user_id == user.id), status).order_by(Booking.id.desc())
    if event_id is not None:
        query = query.where(Booking.event_id == event_id)
    if upcoming is not None:
        query = query.join(Event).where(Event.starts_at > utcnow() if upcoming else Event.starts_at <= utcnow())
    return query


def bookings_for(event: Event, *, status: BookingStatus | None = None) -> sa.Select[Any]:
    """The bookings of an event, the first one first."""
    return _with_status(sa.select(Booking).where(Booking.event_id == event.id), status).order_by(Booking.id)


def mails_of(booking: Booking) -> sa.Select[Any]:
    """The mails of a booking, the newest first; those sent long ago are gone."""
    return sa.select(OutboxEmail).where(OutboxEmail.booking_id == booking.id).order_by(OutboxEmail.id.desc())


def guest_email_of(booking_id: UUID, *, viewer: User) -> str | None:
    """The guest's address at this moment; None unless `viewer` may see the booking."""
    is_theirs = (Booking.user_id == viewer.id) | (Event.organizer_id == viewer.id)
    query = sa.select(Booking.guest_email).join(Event).where(Booking.id == booking_id, is_theirs)
    return db.session.scalars(query).one_or_none()


def get_booking(booking_id: UUID, *, viewer: User) -> Booking:
    """The booking with its event, if `viewer` may see it. Raises `BookingNotFound`."""
    query = sa.select(Booking).where(Booking.id == booking_id).options(joinedload(Booking.event))
    booking = db.session.scalars(query).one_or_none()
    if booking is None or not may_see(viewer, booking):
        raise BookingNotFound
    return booking


def lock_booking(booking_id: UUID, *, viewer: User) -> tuple[Booking, Event]:
    """A booking that `viewer` may see, and its event, both locked. Raises `BookingNotFound`."""
    return _locked(get_booking(booking_id, viewer=viewer))


def lock_own_booking(booking_id: UUID, *, owner: User) -> tuple[Booking, Event]:
    """The owner's booking and its event, both locked.

    Raises `BookingNotFound`, and `NotAllowed` to the event's organizer, who may see it and no more.
    """
    booking = get_booking(booking_id, viewer=owner)
    if booking.user_id != owner.id:
        raise NotAllowed("Only who made a booking may change it.")
    return _locked(booking)


def _locked(booking: Booking) -> tuple[Booking, Event]:
    """Both as they are now, locked until the transaction ends, the event first as everywhere: so no deadlock."""
    require_transaction()
    event = lock_event(booking.event_id, even_deleted=True)
    locked = sa.select(Booking).where(Booking.id == booking.id).with_for_update()
    return db.session.scalars(locked, execution_options={"populate_existing": True}).one(), event


def _with_status(query: sa.Select[Any], status: BookingStatus | None) -> sa.Select[Any]:
    return query if status is None else query.where(Booking.status == status)
