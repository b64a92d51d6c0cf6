"""Include running events in the list of upcoming events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

IS_NOT_DELETED = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    # with ends_at, PostgreSQL skips past events without reading their rows
    op.drop_index("ix_events_listed", "events")
    op.create_index("ix_events_listed", "events", ["starts_at", "id", "ends_at"], postgresql_where=IS_NOT_DELETED)
    op.create_index("ix_events_ends_at", "events", ["ends_at"], postgresql_where=IS_NOT_DELETED)


def downgrade() -> None:
    op.drop_index("ix_events_ends_at", "events")
    op.drop_index("ix_events_listed", "events")
    op.create_index("ix_events_listed", "events", ["starts_at", "id"], postgresql_where=IS_NOT_DELETED)
