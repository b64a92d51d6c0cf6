"""API keys, with which programs act on behalf of an organization."""

import hashlib
import secrets
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Identified, Timestamped

# Distinguishes API keys from access tokens, and lets secret scanners find keys that were published by mistake.
SECRET_PREFIX = "ebk_"  # noqa: S105 - not a secret
HINT_LENGTH = 12


def new_secret() -> str:
    """Return `ebk_` followed by 256 random bits in URL-safe Base64."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 hash of a secret. Only the hash is stored.

    A fast hash suffices, because 256 random bits cannot be guessed. The lookup compares hashes, so its duration reveals
    nothing about the stored secrets.
    """
    return hashlib.sha256(secret.encode()).digest()


class Scope(StrEnum):
    """What an API key may do with its organization's events."""

    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    BOOKINGS_READ = "bookings:read"
    BOOKINGS_WRITE = "bookings:write"
    CHECK_IN = "check-in"
    WEBHOOKS = "webhooks"


class ApiKey(Identified, Timestamped, Base):
    """An API key. Stores only the SHA-256 hash of the secret and, as `hint`, the first characters of the secret.

    `event_ids` restricts the key to certain events, and `own_events_only` to the events that the account
    `created_by_id` organizes. That account also becomes the organizer of events created with the key. After a rotation,
    the previous secret stays valid until `previous_expires_at`. `last_used_at` has a precision of one minute.
    """

    __tablename__ = "api_keys"
    __allow_unmapped__ = True  # for `secret`, which is not a column
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
    own_events_only: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    hint: Mapped[str] = mapped_column(sa.String(HINT_LENGTH))
    secret_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    previous_hash: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
    previous_expires_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    # set only on a key that was just created or rotated
    secret: str | None = None


def is_usable(secret_hash: sa.ColumnElement[bytes]) -> sa.ColumnElement[bool]:
    """Return the condition that an API key is neither revoked nor expired, and has a valid secret with this hash."""
    return sa.and_(
        sa.or_(
            ApiKey.secret_hash == secret_hash,
            (ApiKey.previous_hash == secret_hash) & (ApiKey.previous_expires_at > sa.func.now()),
        ),
        ApiKey.revoked_at.is_(None),
        sa.func.coalesce(ApiKey.expires_at > sa.func.now(), sa.true()),
    )
