"""Finding bookings."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from bookings_api.bookings.permissions import may_see
from bookings_api.errors import BookingNotFound
from bookings_api.extensions import db
from bookings_api.models import Booking, User


def bookings_of(user: User) -> sa.Select[Any]:
    """The bookings that `user` made, the newest first (a UUIDv7 grows with time)."""
    return sa.select(Booking).where(Booking.user_id == user.id).order_by(Booking.id.desc())


def get_booking(booking_id: UUID, *, viewer: User) -> Booking:
    """The booking with its event, if `viewer` may see it. Raises `BookingNotFound`."""
    query = sa.select(Booking).where(Booking.id == booking_id).options(joinedload(Booking.event))
    booking = db.session.scalars(query).one_or_none()
    if booking is None or not may_see(viewer, booking):
        raise BookingNotFound
    return booking
