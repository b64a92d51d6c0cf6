"""Events and how many of their tickets are taken."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped, choice

MAX_CAPACITY = 1_000_000
MAX_TICKETS_PER_BOOKING = 1_000
DEFAULT_TICKETS_PER_BOOKING = 10


# A trigger raises it with each row of events that is written, and holds a lock until the transaction is over: the
# advisory lock of the table's oid, shared (migration 0004). What that is for: http/kept.py.
EVENTS_REVISION = sa.Sequence("events_revision", metadata=Base.metadata)

# What a search for words looks through; the index is on the very same expression.
SEARCHED = "title || ' ' || location || ' ' || description"


class EventStatus(StrEnum):
    """`draft` is seen by its organizer alone, `published` can be booked, `cancelled` is final."""

    DRAFT = "draft"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


class EventSort(StrEnum):
    """The orders that a list of events may have; a minus turns one round."""

    STARTS_AT = "starts_at"
    LATEST_START = "-starts_at"
    TITLE = "title"
    LAST_TITLE = "-title"
    CREATED_AT = "created_at"
    NEWEST = "-created_at"


class Event(Identified, Timestamped, Base):
    """An event; `tickets_booked` counts the tickets of its confirmed bookings.

    The counter changes only under the row's lock and in the transaction that writes the booking; the CHECK
    on it makes an oversold event impossible whatever the code does.
    """

    __tablename__ = "events"
    __table_args__ = (
        sa.CheckConstraint(f"capacity BETWEEN 1 AND {MAX_CAPACITY}", name="capacity_in_range"),
        sa.CheckConstraint("tickets_booked BETWEEN 0 AND capacity", name="not_oversold"),
        sa.CheckConstraint(
            f"max_tickets_per_booking BETWEEN 1 AND {MAX_TICKETS_PER_BOOKING}", name="booking_limit_in_range"
        ),
        sa.CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        sa.CheckConstraint("booking_closes_at > booking_opens_at", name="booking_window_in_order"),
        sa.Index("ix_events_listed", "starts_at", "id", postgresql_where=sa.text("deleted_at IS NULL")),
        sa.Index("ix_events_organizer_id_starts_at", "organizer_id", "starts_at", "id"),
        sa.Index("ix_events_created_at", "created_at", "id", postgresql_where=sa.text("deleted_at IS NULL")),
        sa.Index("ix_events_title", "title", "id", postgresql_where=sa.text("deleted_at IS NULL")),
        sa.Index(
            "ix_events_search",
            sa.text(f"({SEARCHED}) gin_trgm_ops"),
            postgresql_using="gin",
            postgresql_where=sa.text("deleted_at IS NULL"),
        ),
    )

    organizer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(sa.String(200))
    description: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    location: Mapped[str] = mapped_column(sa.String(200))
    timezone: Mapped[str] = mapped_column(sa.String(64))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    capacity: Mapped[int]
    tickets_booked: Mapped[int] = mapped_column(default=0, server_default="0")
    max_tickets_per_booking: Mapped[int] = mapped_column(
        default=DEFAULT_TICKETS_PER_BOOKING, server_default=str(DEFAULT_TICKETS_PER_BOOKING)
    )
    status: Mapped[EventStatus] = mapped_column(choice(EventStatus, "status"))
    booking_opens_at: Mapped[datetime | None]
    booking_closes_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    deleted_at: Mapped[datetime | None]

    @property
    def tickets_available(self) -> int:
        return self.capacity - self.tickets_booked
