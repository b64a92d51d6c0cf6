"""Cancel the bookings of an event without writing index entries.

PostgreSQL writes no index entries for the new version of a row (a heap-only update) if no index mentions a changed
column and the row's page has space left. Rewrites the table and blocks access to it meanwhile, because the new columns
are stored.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEXES = ("ix_bookings_event_id_reminded_for", "ix_bookings_event_id_held_until", "ix_bookings_waiting_list")


def upgrade() -> None:
    op.execute("ALTER TABLE bookings SET (fillfactor = 45)")
    for index in _INDEXES:
        op.drop_index(index, table_name="bookings")
    op.execute("""
        ALTER TABLE bookings ADD is_held boolean GENERATED ALWAYS AS (status = 'held') STORED NOT NULL,
                             ADD is_waiting boolean GENERATED ALWAYS AS (status = 'waitlisted') STORED NOT NULL
    """)
    _create_indexes(reminded_for=None, held="is_held", waiting="is_waiting")
    op.execute("ANALYZE bookings")


def downgrade() -> None:
    for index in _INDEXES:
        op.drop_index(index, table_name="bookings")
    for column in ("is_held", "is_waiting"):
        op.drop_column("bookings", column)
    _create_indexes(reminded_for="status = 'confirmed'", held="status = 'held'", waiting="status = 'waitlisted'")
    op.execute("ALTER TABLE bookings RESET (fillfactor)")


def _create_indexes(*, reminded_for: str | None, held: str, waiting: str) -> None:
    conditions = [condition and sa.text(condition) for condition in (reminded_for, held, waiting)]
    op.create_index(_INDEXES[0], "bookings", ["event_id", "reminded_for"], postgresql_where=conditions[0])
    op.create_index(_INDEXES[1], "bookings", ["event_id", "held_until"], postgresql_where=conditions[1])
    op.create_index(
        _INDEXES[2],
        "bookings",
        ["event_id", "waitlisted_at", "id"],
        postgresql_include=["ticket_count"],
        postgresql_where=conditions[2],
    )
