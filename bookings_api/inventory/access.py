"""Whether people may still get tickets. An organization can revoke a customer's access, and people delete accounts."""

import sqlalchemy as sa

from bookings_api.extensions import db
from bookings_api.models import Booking, Event, Membership, User

# Of a booking, as part of a query that also reads its event
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
