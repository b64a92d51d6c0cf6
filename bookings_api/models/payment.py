"""Payments for bookings, as reported by the programs that take them. The service takes no money itself."""

from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from bookings_api.database.base import Base, Identified, Timestamped, choice
from bookings_api.models.booking import Booking, BookingStatus
from bookings_api.models.ticket_type import MAX_PRICE

MAX_PROVIDER = 50
MAX_PAYMENT_REFERENCE = 255
# far above the price of the largest booking, so that any amount that a customer may have paid can be recorded
MAX_PAYMENT = 10_000 * MAX_PRICE


class PaymentRefusal(StrEnum):
    """Why a payment did not confirm its booking. The whole amount must be refunded."""

    HOLD_EXPIRED = "hold_expired"
    BOOKING_CANCELLED = "booking_cancelled"
    ALREADY_PAID = "already_paid"
    PAYMENT_MISMATCH = "payment_mismatch"
    WAITING_LIST = "waiting_list"


class Payment(Identified, Timestamped, Base):
    """A payment for one booking, in minor units of its currency. At most one payment of a booking is accepted.

    The organization's provider and reference identify the payment, so that a repeated report changes nothing. A refused
    payment is recorded as well, because the money has to be refunded.
    """

    __tablename__ = "payments"
    __table_args__ = (
        sa.UniqueConstraint("organization_id", "provider", "reference"),
        sa.CheckConstraint("amount > 0", name="amount_positive"),
        sa.Index("uq_payments_accepted", "booking_id", unique=True, postgresql_where=sa.text("refusal IS NULL")),
        sa.Index("ix_payments_booking_id", "booking_id"),
    )

    organization_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organizations.id"))
    booking_id: Mapped[UUID] = mapped_column(sa.ForeignKey("bookings.id"))
    provider: Mapped[str] = mapped_column(sa.String(MAX_PROVIDER))
    reference: Mapped[str] = mapped_column(sa.String(MAX_PAYMENT_REFERENCE))
    amount: Mapped[int] = mapped_column(sa.BigInteger)
    currency: Mapped[str] = mapped_column(sa.String(3))
    # None if the payment was accepted
    refusal: Mapped[PaymentRefusal | None] = mapped_column(choice(PaymentRefusal, "refusal"))

    booking: Mapped[Booking] = relationship(lazy="raise")

    # the whole amount of a refused payment, or an accepted payment minus the price of the confirmed tickets
    amount_to_refund: Mapped[int] = column_property(
        sa.select(
            sa.case(
                (sa.text("payments.refusal IS NOT NULL"), sa.text("payments.amount")),
                (Booking.status == BookingStatus.CONFIRMED, sa.text("payments.amount - bookings.amount_due")),
                else_=sa.text("payments.amount"),
            )
        )
        .where(Booking.id == sa.text("payments.booking_id"))
        .scalar_subquery()
        .label("amount_to_refund")
    )
