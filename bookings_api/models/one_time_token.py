"""Emailed tokens that work once: invitations and password resets."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped, choice


class TokenPurpose(StrEnum):
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - not a password


class OneTimeToken(Identified, Timestamped, Base):
    """The hash of a token. A user has at most one per purpose, the latest."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "purpose"),
        sa.UniqueConstraint("token_hash"),
        sa.Index("ix_one_time_tokens_expires_at", "expires_at"),
    )

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    purpose: Mapped[TokenPurpose] = mapped_column(choice(TokenPurpose, "purpose"))
    token_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    expires_at: Mapped[datetime]
