"""Base classes of all models: UUIDv7 keys and timestamps with time zone."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from bookings_api.extensions import db

# not now(), which is the time when the transaction began, possibly before it waited for a lock
_now = sa.func.clock_timestamp()


def choice(enum: type[StrEnum], name: str) -> sa.Enum:
    """Return a text column type for the values of `enum`, with a named CHECK.

    Unlike for a PostgreSQL enum, a single migration can add and remove values.
    """
    return sa.Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """Declarative base with the metadata that Flask-Migrate reads."""

    metadata = db.metadata
    # statements that write a row also return the columns that the database computes, such as `updated_at`
    __mapper_args__ = {"eager_defaults": True}
    type_annotation_map = {datetime: sa.DateTime(timezone=True), UUID: sa.Uuid()}

    @classmethod
    def from_row(cls, **columns: Any) -> Self:
        """Create an object from loaded columns. It belongs to no session, so its changes are not tracked."""
        row = cls.__mapper__.class_manager.new_instance()
        row.__dict__.update(columns)
        return cast("Self", row)


class Identified:
    """A UUIDv7 primary key (RFC 9562). Keys are ordered by creation time, so their index grows at one end."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)


class Timestamped:
    """The times of creation and of the last change, by the database's clock."""

    created_at: Mapped[datetime] = mapped_column(default=_now, server_default=sa.func.now(), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(
        default=_now, server_default=sa.func.now(), onupdate=_now, sort_order=91
    )
