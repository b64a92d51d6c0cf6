"""Whether people may still get tickets. Organizations can revoke a customer's access, and accounts can be deleted."""

import sqlalchemy as sa

from bookings_api.extensions import db
from bookings_api.models import Booking, Event, Membership, User

# whether the account that made a booking has lost its access; for queries that also read the event
IS_REVOKED = sa.or_(
    sa.exists().where(
        Membership.user_id == Booking.user_id,
        Membership.organization_id == Event.organization_id,
        ~Membership.is_active,
    ),
    sa.exists().where(User.id == Booking.user_id, ~User.is_active),
)


def is_admitted(booking: Booking, event: Event) -> bool:
    """Whether the account that made the booking may get more tickets. Always true for bookings made with API keys."""
    revoked = sa.select(Booking.id).join(Event).where(Booking.id == booking.id, Event.id == event.id, IS_REVOKED)
    return db.session.scalars(revoked).one_or_none() is None
