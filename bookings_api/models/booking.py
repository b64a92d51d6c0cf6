"""Bookings and their references."""

import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from bookings_api.database.base import Base, Identified, Timestamped, choice
from bookings_api.models.api_key import ApiKey
from bookings_api.models.event import MAX_HOLD_MINUTES, MAX_TICKETS_PER_BOOKING, Event
from bookings_api.models.ticket_type import BookingItem, TicketType
from bookings_api.models.user import User

# Without characters that look or sound alike: 0 O, 1 I L, 2 Z, 5 S, 8 B, U.
REFERENCE_ALPHABET = "34679ACDEFGHJKMNPQRTVWXY"
REFERENCE_LENGTH = 10
MAX_EXTERNAL_ID = 255


def new_reference() -> str:
    """Return a random reference with 45 bits of entropy. A constraint rejects duplicates."""
    letters = len(REFERENCE_ALPHABET)  # the modulo makes some letters more likely, which costs less than half a bit
    return "".join([REFERENCE_ALPHABET[byte % letters] for byte in secrets.token_bytes(REFERENCE_LENGTH)])


def mailbox_of(address: str) -> str:
    """Return the mailbox of an address. Addresses that differ only in case or after a `+` usually share one (RFC 5233).

    `mailbox` is the same in SQL.
    """
    local, _, domain = address.lower().rpartition("@")
    return f"{local[:1]}{local[1:].partition('+')[0]}@{domain}"


def mailbox(address: sa.SQLColumnExpression[str]) -> sa.ColumnElement[str]:
    """Convert `Uri+tickets@example.com` to `uri@example.com`, like `mailbox_of`."""
    return sa.func.regexp_replace(
        sa.func.lower(address), sa.literal_column(r"'(.)\+[^@]*@'"), sa.literal_column(r"'\1@'"), type_=sa.Text
    )


class BookingStatus(StrEnum):
    """The status of a booking. Clients should treat unknown values like a booking that is not confirmed.

    A `confirmed` booking has its tickets. A `held` booking keeps its tickets until `held_until`, for example while the
    buyer pays. A `waitlisted` booking waits for tickets. An `expired` booking has lost its hold or its place on the
    waiting list. A `cancelled` booking has released its tickets, and the cancellation is final.
    """

    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    HELD = "held"
    EXPIRED = "expired"
    WAITLISTED = "waitlisted"


# Bookings that have tickets or wait for tickets. The others are over, except for late payments.
ACTIVE = (BookingStatus.CONFIRMED, BookingStatus.HELD, BookingStatus.WAITLISTED)


def _of_parties_ahead(aggregate: str) -> sa.ColumnElement[int | None]:
    """Return an aggregate over the parties ahead on the waiting list. PostgreSQL computes it only for waiting parties.

    The aggregate has the type bigint, because large parties could exceed an integer.
    """
    return sa.literal_column(
        f"(CASE WHEN bookings.status = 'waitlisted' THEN (SELECT {aggregate} FROM bookings AS ahead"  # noqa: S608 - ours
        " WHERE ahead.event_id = bookings.event_id AND ahead.is_waiting"
        " AND (ahead.waitlisted_at, ahead.id) < (bookings.waitlisted_at, bookings.id)) END)",
        sa.BigInteger,
    )


class Booking(Identified, Timestamped, Base):
    """Tickets for one event, booked for a guest by an account or with an API key."""

    __tablename__ = "bookings"
    __table_args__ = (
        sa.UniqueConstraint("reference"),
        sa.CheckConstraint(f"ticket_count BETWEEN 1 AND {MAX_TICKETS_PER_BOOKING}", name="ticket_count_in_range"),
        sa.CheckConstraint("(status = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_at_if_cancelled"),
        sa.CheckConstraint("status <> 'confirmed' OR confirmed_at IS NOT NULL", name="confirmed_at_if_confirmed"),
        sa.CheckConstraint("status <> 'waitlisted' OR waitlisted_at IS NOT NULL", name="waitlisted_at_if_waitlisted"),
        sa.CheckConstraint("status <> 'held' OR hold_minutes IS NOT NULL", name="hold_minutes_if_held"),
        sa.CheckConstraint("status <> 'held' OR held_until IS NOT NULL", name="held_until_if_held"),
        sa.CheckConstraint(f"hold_minutes BETWEEN 1 AND {MAX_HOLD_MINUTES}", name="hold_minutes_in_range"),
        sa.CheckConstraint("amount_due = 0 OR currency IS NOT NULL", name="currency_if_amount_due"),
        sa.CheckConstraint("accept_fewer BETWEEN 1 AND ticket_count", name="accept_fewer_in_range"),
        sa.CheckConstraint("(user_id IS NULL) = (api_key_id IS NOT NULL)", name="booked_by_account_or_key"),
        sa.CheckConstraint("(api_key_id IS NULL) = (organization_id IS NULL)", name="organization_if_booked_by_key"),
        sa.CheckConstraint("external_id IS NULL OR organization_id IS NOT NULL", name="external_id_of_organization"),
        sa.Index(
            "uq_bookings_organization_id_external_id",
            "organization_id",
            "external_id",
            unique=True,
            postgresql_where=sa.text("external_id IS NOT NULL"),
        ),
        sa.CheckConstraint(
            "(external_id IS NULL) = (external_request_hash IS NULL)", name="external_request_hash_if_external_id"
        ),
        sa.CheckConstraint("(api_key_id IS NULL) = (booked_by IS NULL)", name="booked_by_names_key"),
        sa.Index(
            "ix_bookings_organization_id_id",
            "organization_id",
            "id",
            postgresql_where=sa.text("organization_id IS NOT NULL"),
        ),
        sa.Index("ix_bookings_user_id_id", "user_id", "id"),
        sa.Index("ix_bookings_event_id_id", "event_id", "id"),
        sa.Index("ix_bookings_guest_email", sa.text("lower(guest_email)")),
        # Cancelling a confirmed booking changes no indexed column, and the table's fillfactor leaves space for a second
        # and slightly larger version of each row. So cancelling 50,000 of them writes almost no index entries. In
        # exchange, the search for due reminders also reads bookings that are not confirmed.
        sa.Index("ix_bookings_event_id_reminded_for", "event_id", "reminded_for"),
        sa.Index("ix_bookings_event_id_held_until", "event_id", "held_until", postgresql_where=sa.text("is_held")),
        sa.Index(
            "ix_bookings_waiting_list",
            "event_id",
            "waitlisted_at",
            "id",
            postgresql_include=["ticket_count"],
            postgresql_where=sa.text("is_waiting"),
        ),
        {"postgresql_with": {"fillfactor": 45}},
    )

    reference: Mapped[str] = mapped_column(sa.String(REFERENCE_LENGTH), default=new_reference)
    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("events.id"))
    # exactly one of `user_id` and `api_key_id` is set
    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id"))
    api_key_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("api_keys.id"))
    # the name that the key had when the booking was made
    booked_by: Mapped[str | None] = mapped_column(sa.String(100))
    # the organization of the API key
    organization_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organizations.id"))
    # the client's identifier, unique within the organization
    external_id: Mapped[str | None] = mapped_column(sa.String(MAX_EXTERNAL_ID))
    # the SHA-256 hash of the order with this `external_id`, which identifies a repeated request
    external_request_hash: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
    client_metadata: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    ticket_count: Mapped[int]
    # long enough for an email address, the default for accounts without a name
    guest_name: Mapped[str] = mapped_column(sa.String(254))
    guest_email: Mapped[str] = mapped_column(sa.String(254))
    status: Mapped[BookingStatus] = mapped_column(
        choice(BookingStatus, "status"), default=BookingStatus.CONFIRMED, server_default=BookingStatus.CONFIRMED
    )
    # generated from `status` for the partial indexes, which must not mention `status` itself
    is_held: Mapped[bool] = mapped_column(sa.Computed("status = 'held'"))
    is_waiting: Mapped[bool] = mapped_column(sa.Computed("status = 'waitlisted'"))
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    # the event's version when the booking was made or, if the event was cancelled, when it was cancelled
    event_version: Mapped[int] = mapped_column(server_default="1")
    cancelled_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    # the price of the tickets in minor units of `currency`, fixed when the tickets are booked
    amount_due: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    # the accepted payment, in minor units of `currency`
    amount_paid: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    has_refused_payment: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # when the hold ends; kept when the booking is confirmed, is cancelled or expires
    held_until: Mapped[datetime | None]
    # the original duration of the hold or, while the booking is on the waiting list, the requested duration
    hold_minutes: Mapped[int | None]
    is_extended: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    # determines the position on the waiting list; set by the database's clock under the event's lock
    waitlisted_at: Mapped[datetime | None]
    # the smallest number of tickets that a party on the waiting list accepts; None if it needs all of them
    accept_fewer: Mapped[int | None]
    # the event's start in the latest reminder; if the start changes, the guest gets another reminder
    reminded_for: Mapped[datetime | None]

    # the account that replaced the guest; None if the buyer or an API key chose the guest, or if the guest is the buyer
    guest_chosen_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id"))

    event: Mapped[Event] = relationship(lazy="raise")
    user: Mapped[User | None] = relationship(lazy="raise", foreign_keys=[user_id])
    api_key: Mapped[ApiKey | None] = relationship(lazy="raise")
    # loaded only when needed, because organizers rarely replace guests
    guest_chosen_by: Mapped[User | None] = relationship(foreign_keys=[guest_chosen_by_id])

    # JSON, in the order of the event's ticket types
    items: Mapped[list[dict[str, Any]]] = column_property(
        sa.select(
            sa.func.coalesce(
                sa.func.jsonb_agg(
                    postgresql.aggregate_order_by(
                        sa.func.jsonb_build_object(
                            "ticket_type_id",
                            TicketType.id,
                            "name",
                            TicketType.name,
                            "count",
                            BookingItem.count,
                            "price",
                            BookingItem.price,
                        ),
                        TicketType.position,
                        TicketType.id,
                    )
                ),
                sa.text("'[]'::jsonb"),
                type_=JSONB,
            )
        )
        .select_from(BookingItem)
        .join(TicketType, TicketType.id == BookingItem.ticket_type_id)
        .where(BookingItem.booking_id == sa.text("bookings.id"))
        .scalar_subquery()
        .label("items"),
        # otherwise it would be read again after the commit, without the lock
        expire_on_flush=False,
    )

    # The position on the event's waiting list, and the tickets that the parties ahead wait for. None if not waiting.
    position: Mapped[int | None] = column_property(
        _of_parties_ahead("count(*) + 1").label("position"), expire_on_flush=False
    )
    tickets_ahead: Mapped[int | None] = column_property(
        _of_parties_ahead("coalesce(sum(ahead.ticket_count), 0)").label("tickets_ahead"), expire_on_flush=False
    )

    @hybrid_property
    def refund_due(self) -> bool:
        """Whether money has to be refunded: a refused payment, or more than the price of the confirmed tickets."""
        owed = self.amount_due if self.status is BookingStatus.CONFIRMED else 0
        return self.has_refused_payment or self.amount_paid > owed

    @refund_due.inplace.expression
    @classmethod
    def _refund_due(cls) -> sa.ColumnElement[bool]:
        owed = sa.case((cls.status == BookingStatus.CONFIRMED, cls.amount_due), else_=0)
        return sa.or_(cls.has_refused_payment, cls.amount_paid > owed)

    @property
    def counts(self) -> dict[UUID, int]:
        """The number of tickets of each type, by the ID of the type."""
        return {UUID(item["ticket_type_id"]): item["count"] for item in self.items}

    @property
    def smallest_count(self) -> int:
        """The smallest number of tickets that the booking accepts while it is on the waiting list."""
        return self.ticket_count if self.accept_fewer is None else self.accept_fewer

    @property
    def was_announced(self) -> bool:
        """Whether an email announced this booking. A hold is announced if it is an offer, or when it is confirmed."""
        return self.confirmed_at is not None or self.waitlisted_at is not None

    @property
    def sender(self) -> User | None:
        """The account named in emails to the guest: `guest_chosen_by` or else the buyer."""
        return self.guest_chosen_by or self.user


# for `max_tickets_per_person`
sa.Index(
    "ix_bookings_event_id_mailbox",
    Booking.event_id,
    mailbox(Booking.guest_email),
    postgresql_where=sa.text("api_key_id IS NOT NULL"),
)
