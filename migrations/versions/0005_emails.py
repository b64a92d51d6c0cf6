"""Add columns for dropped emails, reminders per start time, one message per guest and event, and replaced guests."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATUSES = ("pending", "sending", "sent", "failed")


def upgrade() -> None:
    _allow(*STATUSES, "dropped")
    op.drop_index("ix_outbox_emails_failed", "outbox_emails")
    op.create_index(
        "ix_outbox_emails_not_sent",
        "outbox_emails",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status IN ('failed', 'dropped')"),
    )
    op.add_column("bookings", sa.Column("guest_chosen_by_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_bookings_guest_chosen_by_id_users"), "bookings", "users", ["guest_chosen_by_id"], ["id"]
    )
    op.add_column("bookings", sa.Column("reminded_for", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE bookings SET reminded_for = starts_at FROM events"
        " WHERE events.id = event_id AND reminded_at IS NOT NULL"
    )
    op.drop_column("bookings", "reminded_at")  # also drops its index
    op.create_index(
        "ix_bookings_event_id_reminded_for",
        "bookings",
        ["event_id", "reminded_for"],
        unique=False,
        postgresql_where=sa.text("status = 'confirmed'"),
    )

    op.add_column(
        "event_broadcasts",
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("outbox_emails", sa.Column("event_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_outbox_emails_event_id_events"), "outbox_emails", "events", ["event_id"], ["id"])
    op.create_index(
        "ix_outbox_emails_event_id",
        "outbox_emails",
        ["event_id", "kind", sa.literal_column("lower(recipient)")],
        unique=False,
        postgresql_where=sa.text("event_id IS NOT NULL AND status IN ('pending', 'sending')"),
    )


def downgrade() -> None:
    op.drop_column("outbox_emails", "event_id")  # also drops its index
    op.drop_column("event_broadcasts", "due_at")
    op.add_column("bookings", sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE bookings SET reminded_at = now() WHERE reminded_for IS NOT NULL")
    op.drop_column("bookings", "reminded_for")
    op.drop_column("bookings", "guest_chosen_by_id")
    op.create_index(
        "ix_bookings_not_reminded",
        "bookings",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("status = 'confirmed' AND reminded_at IS NULL"),
    )
    op.execute("DELETE FROM outbox_emails WHERE status = 'dropped'")
    op.drop_index("ix_outbox_emails_not_sent", "outbox_emails")
    op.create_index(
        "ix_outbox_emails_failed", "outbox_emails", ["id"], unique=False, postgresql_where=sa.text("status = 'failed'")
    )
    _allow(*STATUSES)


def _allow(*statuses: str) -> None:
    listed = ", ".join(f"'{status}'" for status in statuses)
    op.drop_constraint("status", "outbox_emails", type_="check")
    op.create_check_constraint("status", "outbox_emails", f"status IN ({listed})")
