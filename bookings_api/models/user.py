"""Accounts."""

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped, choice


class Role(StrEnum):
    """Users can book tickets. Organizers can also manage events and accounts."""

    ORGANIZER = "organizer"
    USER = "user"


class User(Identified, Timestamped, Base):
    """An account. Its email is unique, ignoring case."""

    __tablename__ = "users"
    __table_args__ = (
        sa.Index("uq_users_email_lower", sa.text("lower(email)"), unique=True),
        # for checking whether an organizer is the last one
        sa.Index("ix_users_active_organizers", "id", postgresql_where=sa.text("role = 'organizer' AND is_active")),
    )

    email: Mapped[str] = mapped_column(sa.String(254))
    name: Mapped[str | None] = mapped_column(sa.String(100))
    # None until the invitation is accepted
    password_hash: Mapped[str | None] = mapped_column(sa.String(255))
    role: Mapped[Role] = mapped_column(choice(Role, "role"), default=Role.USER, server_default=Role.USER)
    is_active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())

    version: Mapped[int] = mapped_column(default=1, server_default="1")

    @hybrid_property
    def is_invited(self) -> bool:
        """Whether the account has a pending invitation. It cannot log in until the invitation is accepted."""
        return self.password_hash is None

    @is_invited.inplace.expression
    @classmethod
    def _is_invited(cls) -> sa.ColumnElement[bool]:
        return cls.password_hash.is_(None)

    @property
    def is_organizer(self) -> bool:
        return self.role is Role.ORGANIZER
