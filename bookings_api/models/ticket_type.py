"""Ticket types, and the number of tickets of each type in a booking."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, column_property, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped
from bookings_api.models.event import MAX_CAPACITY, MAX_TICKETS_PER_BOOKING, Event

DEFAULT_TYPE_NAME = "General admission"
MAX_TYPES_PER_EVENT = 50
MAX_POSITION = 1_000
MAX_PRICE = 100_000_000


class TicketType(Identified, Timestamped, Base):
    """A kind of ticket for an event. Every event has at least one ticket type.

    A type without a `capacity` is limited only by the event's capacity. `tickets_booked` and `tickets_held` count the
    tickets of this type in confirmed bookings and in holds. They change only while the event's row is locked. `price`
    is in minor units of the event's currency, such as cents.
    """

    __tablename__ = "ticket_types"
    __table_args__ = (
        sa.CheckConstraint(f"capacity BETWEEN 1 AND {MAX_CAPACITY}", name="capacity_in_range"),
        sa.CheckConstraint(
            "tickets_booked >= 0 AND tickets_held >= 0"
            f" AND tickets_booked + tickets_held <= coalesce(capacity, {MAX_CAPACITY})",
            name="not_oversold",
        ),
        sa.CheckConstraint(f"price BETWEEN 0 AND {MAX_PRICE}", name="price_in_range"),
        sa.CheckConstraint(f"max_per_booking BETWEEN 1 AND {MAX_TICKETS_PER_BOOKING}", name="booking_limit_in_range"),
        sa.CheckConstraint("sales_close_at > sales_open_at", name="sales_window_in_order"),
        sa.Index("ix_ticket_types_event_id_position", "event_id", "position", "id"),
    )

    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("events.id"))
    name: Mapped[str] = mapped_column(sa.String(100))
    description: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    price: Mapped[int] = mapped_column(default=0, server_default="0")
    capacity: Mapped[int | None]
    sales_open_at: Mapped[datetime | None]
    sales_close_at: Mapped[datetime | None]
    max_per_booking: Mapped[int | None]
    # hidden types cannot be seen or booked by the public
    is_hidden: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    tickets_booked: Mapped[int] = mapped_column(default=0, server_default="0")
    tickets_held: Mapped[int] = mapped_column(default=0, server_default="0")
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    # earlier bookings still contain a deleted type
    deleted_at: Mapped[datetime | None]
    # the tickets left of this type, or of the event if fewer
    tickets_available: Mapped[int] = column_property(
        sa.select(
            sa.func.least(
                Event.capacity - Event.tickets_booked - Event.tickets_held,
                sa.text("ticket_types.capacity - ticket_types.tickets_booked - ticket_types.tickets_held"),
            )
        )
        .where(Event.id == sa.text("ticket_types.event_id"))
        .scalar_subquery()
        .label("tickets_available"),
        expire_on_flush=False,
    )

    def limited(self, left: int) -> int:
        """Return how many tickets of this type are left if `left` tickets of the event are left."""
        return left if self.capacity is None else min(left, self.capacity - self.tickets_booked - self.tickets_held)


class BookingItem(Base):
    """The number of tickets of one type in a booking, and the price of each at the time of booking."""

    __tablename__ = "booking_items"
    __table_args__ = (
        sa.CheckConstraint(f"count BETWEEN 1 AND {MAX_TICKETS_PER_BOOKING}", name="count_in_range"),
        sa.CheckConstraint(f"price BETWEEN 0 AND {MAX_PRICE}", name="price_in_range"),
    )

    booking_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bookings.id"), primary_key=True)
    ticket_type_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ticket_types.id"), primary_key=True)
    count: Mapped[int]
    price: Mapped[int] = mapped_column(default=0, server_default="0")
