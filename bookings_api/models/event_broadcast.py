"""Emails to all guests of an event, before they are expanded into one email per booking."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped, choice
from bookings_api.models.outbox import EmailKind


class EventBroadcast(Identified, Timestamped, Base):
    """One row for any number of guests, so that cancelling a large event is a small transaction.

    `payload` describes the event for the emails. `event_version` caused the broadcast and selects its bookings (see
    `mail.broadcasts`). `last_booking_id` is the progress so far.
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
    last_booking_id: Mapped[UUID | None]
    finished_at: Mapped[datetime | None]
