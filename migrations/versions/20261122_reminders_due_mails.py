"""reminders; mails are claimed as they fall due"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KINDS = [
    "booking_confirmed",
    "booking_changed",
    "booking_cancelled",
    "event_changed",
    "event_cancelled",
    "invitation",
    "password_reset",
    "role_changed",
    "access_changed",
]


def upgrade() -> None:
    op.add_column("bookings", sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_bookings_not_reminded",
        "bookings",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("status = 'confirmed' AND reminded_at IS NULL"),
    )
    op.drop_column("outbox_mails", "handed_over_at")
    op.alter_column("outbox_mails", "next_attempt_at", server_default=sa.text("now()"))
    op.drop_index("ix_outbox_mails_due", table_name="outbox_mails")
    op.create_index(
        "ix_outbox_mails_due",
        "outbox_mails",
        [sa.literal_column("(attempts > 0)"), "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    )
    op.create_index(
        "ix_outbox_mails_failed",
        "outbox_mails",
        ["id"],
        unique=False,
        postgresql_where=sa.text("status = 'failed'"),
    )
    _allow_kinds([*KINDS, "event_reminder"])


def downgrade() -> None:
    # the older release has no words for it
    op.execute("DELETE FROM outbox_mails WHERE kind = 'event_reminder'")
    _allow_kinds(KINDS)
    op.drop_index("ix_outbox_mails_failed", table_name="outbox_mails")
    op.drop_index("ix_outbox_mails_due", table_name="outbox_mails")
    op.create_index(
        "ix_outbox_mails_due",
        "outbox_mails",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    )
    op.alter_column("outbox_mails", "next_attempt_at", server_default=None)
    op.add_column("outbox_mails", sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(
        "ix_bookings_not_reminded",
        table_name="bookings",
        postgresql_where=sa.text("status = 'confirmed' AND reminded_at IS NULL"),
    )
    op.drop_column("bookings", "reminded_at")


def _allow_kinds(kinds: list[str]) -> None:
    for table in ("outbox_mails", "event_notices"):
        op.drop_constraint(op.f(f"ck_{table}_kind"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_kind"), table, sa.column("kind").in_(kinds))
