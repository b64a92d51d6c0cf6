"""Create the tables of accounts, events, bookings and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

EMAIL_KINDS = (
    "booking_confirmed",
    "booking_changed",
    "booking_cancelled",
    "event_changed",
    "event_cancelled",
    "event_reminder",
    "invitation",
    "password_reset",
    "role_changed",
    "access_changed",
)

# All columns of events except tickets_booked and updated_at, the only columns that a booking changes.
EVENT_DEFINITION = (
    "id",
    "organizer_id",
    "title",
    "description",
    "location",
    "timezone",
    "starts_at",
    "ends_at",
    "capacity",
    "max_tickets_per_booking",
    "status",
    "booking_opens_at",
    "booking_closes_at",
    "version",
    "deleted_at",
    "created_at",
)


def upgrade() -> None:
    # The database owner may create this extension, because it is trusted (since PostgreSQL 13).
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column(
            "role",
            sa.Enum("organizer", "user", name="role", native_enum=False, create_constraint=True, length=32),
            server_default="user",
            nullable=False,
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index(
        "ix_users_active_organizers",
        "users",
        ["id"],
        unique=False,
        postgresql_where=sa.text("role = 'organizer' AND is_active"),
    )
    op.create_index("uq_users_email_lower", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organizer_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("location", sa.String(length=200), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("tickets_booked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_tickets_per_booking", sa.Integer(), server_default="10", nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft", "published", "cancelled", name="status", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("booking_opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booking_closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("booking_closes_at > booking_opens_at", name=op.f("ck_events_booking_window_in_order")),
        sa.CheckConstraint("capacity BETWEEN 1 AND 1000000", name=op.f("ck_events_capacity_in_range")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_events_ends_after_start")),
        sa.CheckConstraint("max_tickets_per_booking BETWEEN 1 AND 1000", name=op.f("ck_events_booking_limit_in_range")),
        sa.CheckConstraint("tickets_booked BETWEEN 0 AND capacity", name=op.f("ck_events_not_oversold")),
        sa.ForeignKeyConstraint(["organizer_id"], ["users.id"], name=op.f("fk_events_organizer_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(
        "ix_events_created_at",
        "events",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_events_listed", "events", ["starts_at", "id"], unique=False, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_index("ix_events_organizer_id_starts_at", "events", ["organizer_id", "starts_at", "id"], unique=False)
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
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("response", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "logins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("refresh_jti", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_logins_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logins")),
    )
    op.create_index("ix_logins_expires_at", "logins", ["expires_at"], unique=False)
    op.create_index("ix_logins_user_id", "logins", ["user_id"], unique=False)
    op.create_table(
        "one_time_tokens",
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
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_one_time_tokens_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_tokens_token_hash")),
        sa.UniqueConstraint("user_id", "purpose", name=op.f("uq_one_time_tokens_user_id_purpose")),
    )
    op.create_index("ix_one_time_tokens_expires_at", "one_time_tokens", ["expires_at"], unique=False)
    op.create_table(
        "bookings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(length=10), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_count", sa.Integer(), nullable=False),
        sa.Column("guest_name", sa.String(length=254), nullable=False),
        sa.Column("guest_email", sa.String(length=254), nullable=False),
        sa.Column(
            "status",
            sa.Enum("confirmed", "cancelled", name="status", native_enum=False, create_constraint=True, length=32),
            server_default="confirmed",
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("event_version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(status = 'cancelled') = (cancelled_at IS NOT NULL)", name=op.f("ck_bookings_cancelled_at_if_cancelled")
        ),
        sa.CheckConstraint("ticket_count BETWEEN 1 AND 1000", name=op.f("ck_bookings_ticket_count_in_range")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_bookings_event_id_events")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bookings_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint("reference", name=op.f("uq_bookings_reference")),
    )
    op.create_index("ix_bookings_event_id_id", "bookings", ["event_id", "id"], unique=False)
    op.create_index(
        "ix_bookings_not_reminded",
        "bookings",
        ["event_id"],
        unique=False,
        postgresql_where=sa.text("status = 'confirmed' AND reminded_at IS NULL"),
    )
    op.create_index("ix_bookings_user_id_id", "bookings", ["user_id", "id"], unique=False)
    op.create_table(
        "event_broadcasts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*EMAIL_KINDS, name="kind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("event_version", sa.Integer(), nullable=False),
        sa.Column("last_booking_id", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_event_broadcasts_event_id_events")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_broadcasts")),
    )
    op.create_index("ix_event_broadcasts_event_id", "event_broadcasts", ["event_id"], unique=False)
    op.create_index(
        "ix_event_broadcasts_unfinished",
        "event_broadcasts",
        ["id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "outbox_emails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*EMAIL_KINDS, name="kind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("broadcast_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "sending",
                "sent",
                "failed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            server_default="pending",
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("message_id", sa.String(length=320), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_outbox_emails_sent_at_if_sent")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_outbox_emails_attempts_not_negative")),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_outbox_emails_booking_id_bookings")),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["event_broadcasts.id"], name=op.f("fk_outbox_emails_broadcast_id_event_broadcasts")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_outbox_emails_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_emails")),
        sa.UniqueConstraint("broadcast_id", "booking_id", name=op.f("uq_outbox_emails_broadcast_id_booking_id")),
        sa.UniqueConstraint("message_id", name=op.f("uq_outbox_emails_message_id")),
    )
    op.create_index("ix_outbox_emails_booking_id", "outbox_emails", ["booking_id"], unique=False)
    op.create_index(
        "ix_outbox_emails_due",
        "outbox_emails",
        [sa.literal_column("(attempts > 0)"), "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    )
    op.create_index(
        "ix_outbox_emails_failed", "outbox_emails", ["id"], unique=False, postgresql_where=sa.text("status = 'failed'")
    )

    op.create_table(
        "event_catalog",
        sa.Column("is_only_row", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("is_only_row", name=op.f("ck_event_catalog_one_row")),
        sa.PrimaryKeyConstraint("is_only_row", name=op.f("pk_event_catalog")),
    )
    # Increments the version once per transaction. The trigger is deferred, so the row is locked only during the commit:
    # organizers do not wait for each other's transactions, and no later lock can cause a deadlock. A migration that
    # updates events and then alters the table must execute SET CONSTRAINTS ALL IMMEDIATE in between.
    op.execute("""
        CREATE FUNCTION increment_event_catalog_version() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO event_catalog DEFAULT VALUES
            ON CONFLICT (is_only_row) DO UPDATE SET version = event_catalog.version + 1
            WHERE event_catalog.xmin <> pg_current_xact_id()::xid;
            RETURN NULL;
        END $$
    """)
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER event_catalog_changed
        AFTER INSERT OR DELETE OR UPDATE OF {", ".join(EVENT_DEFINITION)} ON events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION increment_event_catalog_version()
    """)
    op.execute("""
        CREATE TRIGGER event_catalog_emptied AFTER TRUNCATE ON events
        FOR EACH STATEMENT EXECUTE FUNCTION increment_event_catalog_version()
    """)


def downgrade() -> None:
    for table in (
        "outbox_emails",
        "event_broadcasts",
        "bookings",
        "one_time_tokens",
        "logins",
        "idempotency_keys",
        "events",
        "event_catalog",
        "users",
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION increment_event_catalog_version")
