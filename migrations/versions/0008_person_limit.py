"""Add a maximum number of tickets per person to events."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("max_tickets_per_person", sa.Integer(), nullable=True))
    op.create_check_constraint(
        op.f("ck_events_person_limit_in_range"), "events", "max_tickets_per_person BETWEEN 1 AND 1000000"
    )
    op.create_index(
        "ix_bookings_event_id_mailbox",
        "bookings",
        ["event_id", sa.literal_column(r"regexp_replace(lower(guest_email), '(.)\+[^@]*@', '\1@')")],
        unique=False,
        postgresql_where=sa.text("api_key_id IS NOT NULL"),
    )
    _recreate_trigger()


def downgrade() -> None:
    op.drop_index("ix_bookings_event_id_mailbox", table_name="bookings")
    op.execute("DROP TRIGGER event_catalog_changed ON events")
    op.drop_column("events", "max_tickets_per_person")
    _recreate_trigger()


def _recreate_trigger() -> None:
    """Raise the catalog's version for changes to all columns but the counters; see 0001."""
    columns = op.get_bind().scalars(
        sa.text(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attname NOT IN ('tickets_booked', 'updated_at') ORDER BY attnum"
        )
    )
    op.execute("DROP TRIGGER IF EXISTS event_catalog_changed ON events")
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER event_catalog_changed
        AFTER INSERT OR DELETE OR UPDATE OF {", ".join(columns)} ON events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION increment_event_catalog_version()
    """)
