"""The outbox tables. Emails are stored in the same transaction as the change that causes them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped, choice


class EmailKind(StrEnum):
    """The reason for an email. Emails whose kind begins with `booking` or `event` are about a booking."""

    BOOKING_CONFIRMED = "booking_confirmed"
    BOOKING_CHANGED = "booking_changed"
    BOOKING_CANCELLED = "booking_cancelled"
    BOOKING_REASSIGNED = "booking_reassigned"
    BOOKING_WAITLISTED = "booking_waitlisted"
    BOOKING_OFFERED = "booking_offered"
    BOOKING_EXPIRED = "booking_expired"
    EVENT_CHANGED = "event_changed"
    EVENT_CANCELLED = "event_cancelled"
    EVENT_REMINDER = "event_reminder"
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - not a password
    ROLE_CHANGED = "role_changed"
    ACCESS_CHANGED = "access_changed"
    EMAIL_VERIFICATION = "email_verification"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    TEAM_INVITATION = "team_invitation"
    TEAM_CHANGED = "team_changed"


class EmailStatus(StrEnum):
    """The status of an email.

    A pending email waits for the next attempt to send it. A failed email is not retried automatically. A dropped email
    was outdated before it could be sent, or its recipient deleted their account.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


UNSENT = (EmailStatus.PENDING, EmailStatus.SENDING)


class OutboxEmail(Identified, Timestamped, Base):
    """One email to one recipient.

    `payload` contains the values for the templates, as they were when the email was queued. A worker may claim the
    email at `next_attempt_at` or later. If `event_id` is set, one message combines the email with the recipient's other
    unsent emails of the same kind about that event.
    """

    __tablename__ = "outbox_emails"
    __table_args__ = (
        sa.UniqueConstraint("message_id"),
        sa.CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name="sent_at_if_sent"),
        sa.CheckConstraint("attempts >= 0", name="attempts_not_negative"),
        sa.Index(
            "ix_outbox_emails_due",
            sa.text("(attempts > 0)"),
            "next_attempt_at",
            postgresql_where=sa.text("status IN ('pending', 'sending')"),
        ),
        sa.Index("ix_outbox_emails_not_sent", "id", postgresql_where=sa.text("status IN ('failed', 'dropped')")),
        sa.Index("ix_outbox_emails_booking_id", "booking_id"),
        sa.Index("ix_outbox_emails_user_id", "user_id"),
        sa.Index("ix_outbox_emails_recipient", sa.text("lower(recipient)")),
        sa.Index(
            "ix_outbox_emails_event_id",
            "event_id",
            "kind",
            sa.text("lower(recipient)"),
            postgresql_where=sa.text("event_id IS NOT NULL AND status IN ('pending', 'sending')"),
        ),
        sa.Index("ix_outbox_emails_erase_when_done", "id", postgresql_where=sa.text("erase_when_done")),
        sa.UniqueConstraint("broadcast_id", "booking_id", "recipient"),
    )

    kind: Mapped[EmailKind] = mapped_column(choice(EmailKind, "kind"))
    recipient: Mapped[str] = mapped_column(sa.String(254))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    booking_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("bookings.id"))
    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id"))
    broadcast_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("event_broadcasts.id"))
    event_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("events.id"))
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    status: Mapped[EmailStatus] = mapped_column(
        choice(EmailStatus, "status"), default=EmailStatus.PENDING, server_default=EmailStatus.PENDING
    )
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    last_error: Mapped[str | None] = mapped_column(sa.Text)
    message_id: Mapped[str] = mapped_column(sa.String(320))
    sent_at: Mapped[datetime | None]
    # true if the recipient has deleted their account; cleanup erases their data after the last attempt
    erase_when_done: Mapped[bool] = mapped_column(default=False, server_default=sa.false())

    @hybrid_property
    def due_at(self) -> datetime | None:
        """The time of the next attempt, or None if no attempt is planned."""
        return self.next_attempt_at if self.status in UNSENT else None

    @due_at.inplace.expression
    @classmethod
    def _due_at(cls) -> sa.ColumnElement[datetime | None]:
        return sa.case((sa.or_(*(cls.status == status for status in UNSENT)), cls.next_attempt_at))


class EventBroadcast(Identified, Timestamped, Base):
    """A notice that an event was changed or cancelled. `mail.broadcasts` later creates the emails to guests and buyers.

    The emails are created at `due_at` or later, in the order of the booking IDs. `last_booking_id` shows the progress.
    `payload` describes the event. `event_version`, the event's version after the change, determines which bookings are
    affected.
    """

    __tablename__ = "event_broadcasts"
    __table_args__ = (
        sa.Index("ix_event_broadcasts_unfinished", "id", postgresql_where=sa.text("finished_at IS NULL")),
        sa.Index("ix_event_broadcasts_event_id", "event_id"),
    )

    kind: Mapped[EmailKind] = mapped_column(choice(EmailKind, "kind"))
    event_id: Mapped[UUID] = mapped_column(sa.ForeignKey("events.id"))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    event_version: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    last_booking_id: Mapped[UUID | None]
    finished_at: Mapped[datetime | None]
