"""The table of idempotency keys."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from bookings_api.database.base import Base, Timestamped


class IdempotencyKey(Timestamped, Base):
    """An idempotency key with the SHA-256 hash of its request and the response to that request."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (sa.Index("ix_idempotency_keys_created_at", "created_at"),)

    # the ID of an account or an API key
    actor_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    # JSON, because JSONB does not preserve the order of members
    response: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
