"""Emails that are dropped because they are outdated."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
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


def downgrade() -> None:
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
