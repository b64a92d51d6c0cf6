"""Accounts, their logins, and the one-time tokens emailed to them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, validates

from bookings_api.database.base import Base, Identified, Timestamped, choice


class Role(StrEnum):
    """Users can book tickets. Organizers, including owners, can also manage events and people."""

    ORGANIZER = "organizer"
    USER = "user"


class User(Identified, Timestamped, Base):
    """An account. Its email is unique regardless of case."""

    __tablename__ = "users"
    __table_args__ = (sa.Index("uq_users_email_lower", sa.text("lower(email)"), unique=True),)

    email: Mapped[str] = mapped_column(sa.String(254))
    name: Mapped[str | None] = mapped_column(sa.String(100))
    # None until the account accepts its first invitation, and after erasure
    password_hash: Mapped[str | None] = mapped_column(sa.String(255))
    # when the account's owner verified this email
    email_verified_at: Mapped[datetime | None]
    is_active: Mapped[bool] = mapped_column(default=True, server_default=sa.true())

    version: Mapped[int] = mapped_column(default=1, server_default="1")
    # earlier names and email addresses, so that erasure finds them in bookings and in the outbox
    formerly: Mapped[list[str]] = mapped_column(
        sa.ARRAY(sa.Text), default=list, server_default=sa.text("'{}'"), deferred=True
    )

    @validates("name", "email")
    def _remember(self, field: str, value: str | None) -> str | None:
        former = getattr(self, field)
        if former and former != value:
            self.formerly = [*self.formerly, former]
        return value

    @property
    def known_as(self) -> list[str]:
        """The account's current and earlier names and email addresses, in lower case and sorted."""
        return sorted({text.lower() for text in (self.email, self.name, *self.formerly) if text})

    @hybrid_property
    def is_invited(self) -> bool:
        """Whether the account has no password, so its owner must accept an invitation before they can log in."""
        return self.password_hash is None

    @is_invited.inplace.expression
    @classmethod
    def _is_invited(cls) -> sa.ColumnElement[bool]:
        return cls.password_hash.is_(None)

    @property
    def email_verified(self) -> bool:
        return self.email_verified_at is not None


class Login(Identified, Timestamped, Base):
    """An account's login. Its ID is the `sid` claim of its access and refresh tokens.

    `refresh_jti` is the ID of the only valid refresh token. Setting `revoked_at` ends the login.
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
    """Return the conditions that a login is not revoked and its account is active, for queries that join both tables.

    The login's expiry is not checked, because each token contains its own expiry time.
    """
    return Login.revoked_at.is_(None), User.is_active.is_(True)


class TokenPurpose(StrEnum):
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - not a password
    EMAIL_VERIFICATION = "email_verification"
    EMAIL_CHANGE = "email_change"


class OneTimeToken(Identified, Timestamped, Base):
    """The hash of an emailed token. An account has at most one token per purpose and subject.

    For an invitation, `subject_id` is the ID of the organization or event. For a change of email, `subject_id` is the
    ID of the login that requested the change, and `new_email` is the new address, which receives the token.
    """

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "purpose", "subject_id", postgresql_nulls_not_distinct=True),
        sa.UniqueConstraint("token_hash"),
        sa.Index("ix_one_time_tokens_expires_at", "expires_at"),
    )

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    purpose: Mapped[TokenPurpose] = mapped_column(choice(TokenPurpose, "purpose"))
    subject_id: Mapped[UUID | None]
    new_email: Mapped[str | None] = mapped_column(sa.String(254))
    token_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    expires_at: Mapped[datetime]
