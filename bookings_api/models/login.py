"""Logins. Each is a series of refresh tokens, one of which is valid at a time."""

from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped
from bookings_api.models.user import User


class Login(Identified, Timestamped, Base):
    """A login of a user. Its ID is the `sid` claim of its access and refresh tokens.

    `refresh_jti` identifies the only refresh token that is still unused. A login ends when `revoked_at` is set.
    """

    __tablename__ = "logins"
    __table_args__ = (
        sa.Index("ix_logins_user_id", "user_id"),
        sa.Index("ix_logins_expires_at", "expires_at"),
    )

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    refresh_jti: Mapped[UUID] = mapped_column(default=uuid4)
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


def is_logged_in() -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions under which a login, joined with its account, is valid."""
    return Login.revoked_at.is_(None), User.is_active.is_(True)
