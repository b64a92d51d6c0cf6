"""logins, mailed tokens, notices, idempotency keys"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
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
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("refresh_jti", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.create_table(
        "single_use_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "invitation", "password_reset", name="purpose", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_single_use_tokens_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_single_use_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_single_use_tokens_token_hash")),
        sa.UniqueConstraint("user_id", "purpose", name=op.f("uq_single_use_tokens_user_id_purpose")),
    )
    op.create_index("ix_single_use_tokens_expires_at", "single_use_tokens", ["expires_at"], unique=False)
    op.create_table(
        "event_notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("event_version", sa.Integer(), nullable=False),
        sa.Column("last_booking_id", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_event_notices_event_id_events")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_notices")),
    )
    op.create_index("ix_event_notices_event_id", "event_notices", ["event_id"], unique=False)
    op.create_index(
        "ix_event_notices_unfinished",
        "event_notices",
        ["id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.add_column("bookings", sa.Column("event_version", sa.Integer(), server_default="1", nullable=False))
    op.alter_column(
        "bookings",
        "guest_name",
        existing_type=sa.VARCHAR(length=100),
        type_=sa.String(length=254),
        existing_nullable=False,
    )
    op.drop_index(op.f("ix_events_organizer_id"), table_name="events")
    op.create_index(
        "ix_events_created_at",
        "events",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index("ix_events_organizer_id_starts_at", "events", ["organizer_id", "starts_at", "id"], unique=False)
    # trusted since PostgreSQL 13: the owner of the database may create it
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_index(
        "ix_events_search",
        "events",
        [sa.literal_column("(title || ' ' || location || ' ' || description) gin_trgm_ops")],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_events_title", "events", ["title", "id"], unique=False, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.add_column("outbox_mails", sa.Column("notice_id", sa.Uuid(), nullable=True))
    op.create_unique_constraint(
        op.f("uq_outbox_mails_notice_id_booking_id"), "outbox_mails", ["notice_id", "booking_id"]
    )
    op.create_foreign_key(
        op.f("fk_outbox_mails_notice_id_event_notices"), "outbox_mails", "event_notices", ["notice_id"], ["id"]
    )
    op.drop_constraint(op.f("ck_outbox_mails_kind"), "outbox_mails", type_="check")
    op.create_check_constraint(op.f("ck_outbox_mails_kind"), "outbox_mails", sa.column("kind").in_(KINDS))
    op.alter_column("users", "password_hash", existing_type=sa.VARCHAR(length=255), nullable=True)
    # what a downgrade made of accounts that were merely invited
    op.execute("UPDATE users SET password_hash = NULL WHERE password_hash = ''")
    op.add_column("users", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.create_index(
        "ix_users_active_organizers",
        "users",
        ["id"],
        unique=False,
        postgresql_where=sa.text("role = 'organizer' AND is_active"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_users_active_organizers", table_name="users", postgresql_where=sa.text("role = 'organizer' AND is_active")
    )
    op.drop_column("users", "version")
    # nobody can log in with an empty hash, which is what an invitation amounts to
    op.execute("UPDATE users SET password_hash = '' WHERE password_hash IS NULL")
    op.alter_column("users", "password_hash", existing_type=sa.VARCHAR(length=255), nullable=False)
    # the older release knows one kind of mail, and has no words for the others
    op.execute("DELETE FROM outbox_mails WHERE kind <> 'booking_confirmed'")
    op.drop_constraint(op.f("ck_outbox_mails_kind"), "outbox_mails", type_="check")
    op.create_check_constraint(op.f("ck_outbox_mails_kind"), "outbox_mails", sa.column("kind").in_(KINDS[:1]))
    op.drop_constraint(op.f("fk_outbox_mails_notice_id_event_notices"), "outbox_mails", type_="foreignkey")
    op.drop_constraint(op.f("uq_outbox_mails_notice_id_booking_id"), "outbox_mails", type_="unique")
    op.drop_column("outbox_mails", "notice_id")
    op.drop_index("ix_events_title", table_name="events", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index(
        "ix_events_search", table_name="events", postgresql_using="gin", postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.drop_index("ix_events_organizer_id_starts_at", table_name="events")
    op.drop_index("ix_events_created_at", table_name="events", postgresql_where=sa.text("deleted_at IS NULL"))
    op.create_index(op.f("ix_events_organizer_id"), "events", ["organizer_id"], unique=False)
    op.alter_column(
        "bookings",
        "guest_name",
        existing_type=sa.String(length=254),
        type_=sa.VARCHAR(length=100),
        existing_nullable=False,
        postgresql_using="left(guest_name, 100)",
    )
    op.drop_column("bookings", "event_version")
    op.drop_index(
        "ix_event_notices_unfinished", table_name="event_notices", postgresql_where=sa.text("finished_at IS NULL")
    )
    op.drop_index("ix_event_notices_event_id", table_name="event_notices")
    op.drop_table("event_notices")
    op.drop_index("ix_single_use_tokens_expires_at", table_name="single_use_tokens")
    op.drop_table("single_use_tokens")
    op.drop_index("ix_sessions_user_id", table_name="sessions")
    op.drop_index("ix_sessions_expires_at", table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
