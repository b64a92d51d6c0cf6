"""Events and their ticket counters."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, column_property, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped, choice

MAX_CAPACITY = 1_000_000
MAX_TICKETS_PER_BOOKING = 1_000
DEFAULT_TICKETS_PER_BOOKING = 10
SUMMARY_LENGTH = 200
# Hosted checkout pages stay open for at least 30 minutes, so a hold outlives them.
DEFAULT_HOLD_MINUTES = 35
MAX_HOLD_MINUTES = 24 * 60

# Indexed expressions for sorting and searching lists. Lists are sorted by only the first 100 characters of the title,
# which keeps cursors short.
TITLE_ORDER = 'left(fold_text(title COLLATE "C"), 100)'
SEARCHED = "fold_text(title || ' ' || location || ' ' || description)"


class EventStatus(StrEnum):
    """The status of an event.

    A `draft` is hidden from the public. A `published` event is public and can be booked while its booking window is
    open. A `cancelled` event stays public, and the cancellation is final.
    """

    DRAFT = "draft"
    PUBLISHED = "published"
    CANCELLED = "cancelled"


class Waitlist(StrEnum):
    """Whether people can join the event's waiting list."""

    OFF = "off"
    ON = "on"


class WaitlistPolicy(StrEnum):
    """How an event's waiting list is served. Both policies follow the order of arrival.

    `first_fit` skips a party that needs more tickets than are left. `strict` sets the tickets that are left aside for
    such a party.
    """

    FIRST_FIT = "first_fit"
    STRICT = "strict"


class EventSort(StrEnum):
    """The sort order of events. A leading minus sign means descending order."""

    STARTS_AT = "starts_at"
    STARTS_AT_DESC = "-starts_at"
    TITLE = "title"
    TITLE_DESC = "-title"
    CREATED_AT = "created_at"
    CREATED_AT_DESC = "-created_at"


class Event(Identified, Timestamped, Base):
    """An event. `tickets_booked` counts the tickets in its confirmed bookings, and `tickets_held` those in its holds.

    Both change only while the row is locked and, except in `audit --repair`, in the same transaction as the bookings. A
    CHECK constraint prevents overselling. Prices are in the event's `currency`, an ISO 4217 code.

    When any column except `tickets_booked`, `tickets_held` and `updated_at` changes, a trigger increments
    `EventCatalog.version`. A migration that adds a column must also add the column to the trigger.
    """

    __tablename__ = "events"
    __table_args__ = (
        sa.CheckConstraint(f"capacity BETWEEN 1 AND {MAX_CAPACITY}", name="capacity_in_range"),
        sa.CheckConstraint(
            "tickets_booked >= 0 AND tickets_held >= 0 AND tickets_booked + tickets_held <= capacity",
            name="not_oversold",
        ),
        sa.CheckConstraint(f"hold_minutes BETWEEN 1 AND {MAX_HOLD_MINUTES}", name="hold_minutes_in_range"),
        sa.CheckConstraint(
            f"waitlist_offer_minutes BETWEEN 1 AND {MAX_HOLD_MINUTES}", name="waitlist_offer_minutes_in_range"
        ),
        sa.CheckConstraint(
            f"max_tickets_per_booking BETWEEN 1 AND {MAX_TICKETS_PER_BOOKING}", name="booking_limit_in_range"
        ),
        sa.CheckConstraint(f"max_tickets_per_person BETWEEN 1 AND {MAX_CAPACITY}", name="person_limit_in_range"),
        sa.CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        sa.CheckConstraint("booking_closes_at > booking_opens_at", name="booking_window_in_order"),
        # with ends_at, PostgreSQL skips past events without reading their rows
        sa.Index("ix_events_listed", "starts_at", "id", "ends_at", postgresql_where=sa.text("deleted_at IS NULL")),
        sa.Index("ix_events_ends_at", "ends_at", postgresql_where=sa.text("deleted_at IS NULL")),
        sa.Index("ix_events_organization_id", "organization_id"),
        sa.Index("ix_events_organizer_id_starts_at", "organizer_id", "starts_at", "id"),
        sa.Index("ix_events_created_at", "created_at", "id", postgresql_where=sa.text("deleted_at IS NULL")),
        sa.Index("ix_events_title", sa.text(TITLE_ORDER), "id", postgresql_where=sa.text("deleted_at IS NULL")),
        sa.Index(
            "ix_events_search",
            sa.text(f"{SEARCHED} gin_trgm_ops"),
            postgresql_using="gin",
            postgresql_where=sa.text("deleted_at IS NULL"),
        ),
    )

    organization_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organizations.id"))
    # the account responsible for the event
    organizer_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(sa.String(200))
    description: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    # The beginning of the description, for lists. Cut between words, unless the last word is very long.
    summary: Mapped[str] = column_property(
        sa.case(
            (sa.func.length(description) <= SUMMARY_LENGTH, description),
            else_=sa.func.regexp_replace(
                sa.func.left(description, SUMMARY_LENGTH), r"(\s+\S{0,30}|\S)$", "…", type_=sa.Text
            ),
        ),
        deferred=True,
    )
    location: Mapped[str] = mapped_column(sa.String(200))
    timezone: Mapped[str] = mapped_column(sa.String(64))
    # the contact for guests' questions
    contact_name: Mapped[str | None] = mapped_column(sa.String(100))
    contact_email: Mapped[str | None] = mapped_column(sa.String(254))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    capacity: Mapped[int]
    tickets_booked: Mapped[int] = mapped_column(default=0, server_default="0")
    tickets_held: Mapped[int] = mapped_column(default=0, server_default="0")
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    # how long a booking that must be paid holds its tickets
    hold_minutes: Mapped[int] = mapped_column(default=DEFAULT_HOLD_MINUTES, server_default=str(DEFAULT_HOLD_MINUTES))
    waitlist: Mapped[Waitlist] = mapped_column(
        choice(Waitlist, "waitlist"), default=Waitlist.OFF, server_default=Waitlist.OFF
    )
    waitlist_policy: Mapped[WaitlistPolicy] = mapped_column(
        choice(WaitlistPolicy, "waitlist_policy"),
        default=WaitlistPolicy.FIRST_FIT,
        server_default=WaitlistPolicy.FIRST_FIT,
    )
    # how long a promoted guest can accept the tickets; None if free tickets without `hold_minutes` need no acceptance
    waitlist_offer_minutes: Mapped[int | None]
    max_tickets_per_booking: Mapped[int] = mapped_column(
        default=DEFAULT_TICKETS_PER_BOOKING, server_default=str(DEFAULT_TICKETS_PER_BOOKING)
    )
    max_tickets_per_person: Mapped[int | None]
    status: Mapped[EventStatus] = mapped_column(choice(EventStatus, "status"))
    booking_opens_at: Mapped[datetime | None]
    booking_closes_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    deleted_at: Mapped[datetime | None]

    @hybrid_property
    def tickets_available(self) -> int:
        return self.capacity - self.tickets_booked - self.tickets_held

    @property
    def booking_ends_at(self) -> datetime:
        """When booking closes: at `booking_closes_at` or, by default, at the start of the event."""
        return self.booking_closes_at or self.starts_at


class EventCatalog(Base):
    """A table with a single row, which contains the version of the event catalog.

    Cached lists of events are reused only while the version stays the same. A trigger increments the version at the end
    of each transaction that creates, changes or deletes events. A snapshot that contains a version therefore contains
    all changes up to that version. Bookings do not increment the version.
    """

    __tablename__ = "event_catalog"
    __table_args__ = (sa.CheckConstraint("is_only_row", name="one_row"),)

    is_only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=sa.true())
    version: Mapped[int] = mapped_column(sa.BigInteger, server_default="1")
