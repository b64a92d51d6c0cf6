"""The statements that insert bookings, items and emails."""

from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from bookings_api.database.prepared import BoundStatement, Prepared, insert_into
from bookings_api.inventory.availability import Item
from bookings_api.models import Booking, BookingItem, Membership, OutboxEmail


def insert_items(booking_id: UUID, items: Iterable[Item]) -> list[BoundStatement]:
    """Return the statements that insert a booking's items. The booking must not have any yet."""
    return [
        _INSERT_ITEM.with_values(
            booking_id=booking_id, ticket_type_id=item.ticket_type.id, count=item.count, price=item.price
        )
        for item in items
    ]


INSERT_BOOKING = insert_into(Booking)
# An account's first two bookings may run at the same time, so the membership may already exist.
ADMIT = Prepared(
    "admit_customer",
    postgresql.insert(Membership)
    .values(
        organization_id=sa.bindparam("organization_id", type_=sa.Uuid()),
        user_id=sa.bindparam("user_id", type_=sa.Uuid()),
        is_active=sa.true(),
        version=sa.literal_column("1"),
    )
    .on_conflict_do_nothing(),
)
INSERT_EMAIL = insert_into(
    OutboxEmail, "id", "kind", "recipient", "payload", "booking_id", "user_id", "request_id", "message_id"
)

_INSERT_ITEM = insert_into(BookingItem)
