"""The base class of all models, and mixins that add UUIDv7 primary keys and timestamps in UTC."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from bookings_api.extensions import db

# correct even if the transaction has waited for a lock, unlike now(), the time when the transaction began
_now = sa.func.clock_timestamp()


def choice(enum: type[StrEnum], name: str) -> sa.Enum:
    """Return the type of a text column that allows only the values of `enum`. `name` is the name of the constraint.

    Unlike the values of a PostgreSQL enum type, these values can be added and removed in a single migration.
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
    # INSERT and UPDATE also return the columns that the database computes, such as `updated_at`
    __mapper_args__ = {"eager_defaults": True}
    type_annotation_map = {datetime: sa.DateTime(timezone=True), UUID: sa.Uuid()}

    @classmethod
    def from_row(cls, **columns: Any) -> Self:
        """Create an object from column values, outside any session. Changes to the object are not saved."""
        row = cls.__mapper__.class_manager.new_instance()
        row.__dict__.update(columns)
        return cast("Self", row)


class Identified:
    """Adds a UUIDv7 primary key (RFC 9562), which increases with the creation time."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)


class Timestamped:
    """Adds the times at which the row was created and last changed, according to the database's clock."""

    created_at: Mapped[datetime] = mapped_column(default=_now, server_default=sa.func.now(), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(
        default=_now, server_default=sa.func.now(), onupdate=_now, sort_order=91
    )
