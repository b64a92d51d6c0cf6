"""API keys of organizations, for programs."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped


class Scope(StrEnum):
    """What an API key may do with the events of its organization."""

    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    BOOKINGS_READ = "bookings:read"
    BOOKINGS_WRITE = "bookings:write"
    CHECK_IN = "check-in"
    WEBHOOKS = "webhooks"


class ApiKey(Identified, Timestamped, Base):
    """An API key. Only the SHA-256 hash of its secret is stored; `hint` is the beginning of the secret.

    `event_ids` restricts the key to these events. After a rotation, the previous secret stays valid until
    `previous_expires_at`. `last_used_at` has a precision of one minute. Events created with the key name `created_by`
    as their organizer.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        sa.UniqueConstraint("secret_hash"),
        sa.UniqueConstraint("previous_hash"),
        sa.CheckConstraint(
            "(previous_hash IS NULL) = (previous_expires_at IS NULL)", name="previous_expires_at_if_rotated"
        ),
        sa.Index("ix_api_keys_organization_id", "organization_id", "id"),
    )

    organization_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organizations.id"))
    created_by_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(sa.String(100))
    scopes: Mapped[list[str]] = mapped_column(sa.ARRAY(sa.Text))
    event_ids: Mapped[list[UUID] | None] = mapped_column(sa.ARRAY(sa.Uuid))
    hint: Mapped[str] = mapped_column(sa.String(12))
    secret_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    previous_hash: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
    previous_expires_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1, server_default="1")
