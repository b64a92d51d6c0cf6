"""Add prices, holds, payments and waiting lists.

Sets `confirmed_at` of existing bookings to the time when they were made. The downgrade deletes all payments and cancels
all bookings that are held, expired or on the waiting list.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

EMAIL_KINDS = [
    "booking_confirmed",
    "booking_changed",
    "booking_cancelled",
    "booking_reassigned",
    "event_changed",
    "event_cancelled",
    "event_reminder",
    "invitation",
    "password_reset",
    "role_changed",
    "access_changed",
    "email_verification",
    "email_change",
    "email_changed",
    "team_invitation",
    "team_changed",
]
NEW_EMAIL_KINDS = ["booking_waitlisted", "booking_offered", "booking_expired"]


def upgrade() -> None:
    op.add_column("events", sa.Column("tickets_held", sa.Integer(), server_default="0", nullable=False))
    op.add_column("events", sa.Column("currency", sa.String(length=3), nullable=True))
    op.add_column("events", sa.Column("hold_minutes", sa.Integer(), server_default="35", nullable=False))
    op.add_column(
        "events", sa.Column("waitlist", _choice("waitlist", "off", "on"), server_default="off", nullable=False)
    )
    policy = _choice("waitlist_policy", "first_fit", "strict")
    op.add_column("events", sa.Column("waitlist_policy", policy, server_default="first_fit", nullable=False))
    op.add_column("events", sa.Column("waitlist_offer_minutes", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_events_hold_minutes_in_range"), "events", "hold_minutes BETWEEN 1 AND 1440")
    op.create_check_constraint(
        op.f("ck_events_waitlist_offer_minutes_in_range"), "events", "waitlist_offer_minutes BETWEEN 1 AND 1440"
    )
    op.add_column("ticket_types", sa.Column("price", sa.Integer(), server_default="0", nullable=False))
    op.add_column("ticket_types", sa.Column("tickets_held", sa.Integer(), server_default="0", nullable=False))
    op.add_column("booking_items", sa.Column("price", sa.Integer(), server_default="0", nullable=False))
    for table in ("ticket_types", "booking_items"):
        op.create_check_constraint(op.f(f"ck_{table}_price_in_range"), table, "price BETWEEN 0 AND 100000000")
    _prevent_overselling(
        events="tickets_booked >= 0 AND tickets_held >= 0 AND tickets_booked + tickets_held <= capacity",
        ticket_types="tickets_booked >= 0 AND tickets_held >= 0"
        " AND tickets_booked + tickets_held <= coalesce(capacity, 1000000)",
    )
    _recreate_trigger()
    _add_columns_of_bookings()
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=50), nullable=False),
        sa.Column("reference", sa.String(length=255), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "refusal",
            _choice("refusal", "hold_expired", "booking_cancelled", "already_paid", "payment_mismatch", "waiting_list"),
            nullable=True,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount_positive")),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_payments_booking_id_bookings")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_payments_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint(
            "organization_id", "provider", "reference", name=op.f("uq_payments_organization_id_provider_reference")
        ),
    )
    op.create_index("ix_payments_booking_id", "payments", ["booking_id"], unique=False)
    op.create_index(
        "uq_payments_accepted", "payments", ["booking_id"], unique=True, postgresql_where=sa.text("refusal IS NULL")
    )
    for table in ("outbox_emails", "event_broadcasts"):
        _allow(table, "kind", *EMAIL_KINDS, *NEW_EMAIL_KINDS)


def downgrade() -> None:
    op.drop_table("payments")
    emails = sa.table("outbox_emails", sa.column("kind", sa.String))
    op.execute(emails.delete().where(emails.c.kind.in_(NEW_EMAIL_KINDS)))
    for table in ("outbox_emails", "event_broadcasts"):
        _allow(table, "kind", *EMAIL_KINDS)
    op.execute("""
        UPDATE bookings SET status = 'cancelled', cancelled_at = now(), version = version + 1
        WHERE status IN ('held', 'expired', 'waitlisted')
    """)
    _allow("bookings", "status", "confirmed", "cancelled")
    for index in ("ix_bookings_event_id_held_until", "ix_bookings_waiting_list"):
        op.drop_index(index, table_name="bookings")
    for column in (
        "confirmed_at", "amount_due", "currency", "amount_paid", "has_refused_payment", "held_until", "hold_minutes",
        "is_extended", "waitlisted_at", "accept_fewer",
    ):  # fmt: skip
        op.drop_column("bookings", column)
    op.execute("DROP TRIGGER event_catalog_changed ON events")
    for column in ("currency", "hold_minutes", "waitlist", "waitlist_policy", "waitlist_offer_minutes"):
        op.drop_column("events", column)
    for table in ("events", "ticket_types"):
        op.drop_column(table, "tickets_held")
    _prevent_overselling(
        events="tickets_booked BETWEEN 0 AND capacity",
        ticket_types="tickets_booked BETWEEN 0 AND coalesce(capacity, 1000000)",
    )
    for table in ("ticket_types", "booking_items"):
        op.drop_column(table, "price")
    _recreate_trigger()


def _add_columns_of_bookings() -> None:
    for column in (
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("amount_due", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("amount_paid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("has_refused_payment", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hold_minutes", sa.Integer(), nullable=True),
        sa.Column("is_extended", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("waitlisted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accept_fewer", sa.Integer(), nullable=True),
    ):
        op.add_column("bookings", column)
    op.execute("UPDATE bookings SET confirmed_at = created_at")
    _allow("bookings", "status", "confirmed", "cancelled", "held", "expired", "waitlisted")
    for name, condition in {
        "confirmed_at_if_confirmed": "status <> 'confirmed' OR confirmed_at IS NOT NULL",
        "waitlisted_at_if_waitlisted": "status <> 'waitlisted' OR waitlisted_at IS NOT NULL",
        "hold_minutes_if_held": "status <> 'held' OR hold_minutes IS NOT NULL",
        "held_until_if_held": "status <> 'held' OR held_until IS NOT NULL",
        "hold_minutes_in_range": "hold_minutes BETWEEN 1 AND 1440",
        "currency_if_amount_due": "amount_due = 0 OR currency IS NOT NULL",
        "accept_fewer_in_range": "accept_fewer BETWEEN 1 AND ticket_count",
    }.items():
        op.create_check_constraint(op.f(f"ck_bookings_{name}"), "bookings", condition)
    op.create_index(
        "ix_bookings_event_id_held_until",
        "bookings",
        ["event_id", "held_until"],
        unique=False,
        postgresql_where=sa.text("status = 'held'"),
    )
    op.create_index(
        "ix_bookings_waiting_list",
        "bookings",
        ["event_id", "waitlisted_at", "id"],
        unique=False,
        postgresql_include=["ticket_count"],
        postgresql_where=sa.text("status = 'waitlisted'"),
    )


def _prevent_overselling(**conditions: str) -> None:
    for table, condition in conditions.items():
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_not_oversold")
        op.create_check_constraint(op.f(f"ck_{table}_not_oversold"), table, condition)


def _choice(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def _allow(table: str, column: str, *values: str) -> None:
    op.drop_constraint(column, table, type_="check")
    op.create_check_constraint(column, table, f"{column} IN ({_listed(*values)})")


def _listed(*values: str) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _recreate_trigger() -> None:
    """Increment the catalog's version when any column except the counters changes; see 0001."""
    columns = op.get_bind().scalars(
        sa.text(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attname NOT IN ('tickets_booked', 'tickets_held', 'updated_at') ORDER BY attnum"
        )
    )
    op.execute("DROP TRIGGER IF EXISTS event_catalog_changed ON events")
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER event_catalog_changed
        AFTER INSERT OR DELETE OR UPDATE OF {", ".join(columns)} ON events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION increment_event_catalog_version()
    """)
