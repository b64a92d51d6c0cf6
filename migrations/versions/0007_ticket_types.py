"""Add ticket types.

Every event gets one type, with which it sells as before. Every booking gets an item with all its tickets.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ticket_types",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=True),
        sa.Column("sales_open_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sales_close_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_per_booking", sa.Integer(), nullable=True),
        sa.Column("is_hidden", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tickets_booked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("capacity BETWEEN 1 AND 1000000", name=op.f("ck_ticket_types_capacity_in_range")),
        sa.CheckConstraint(
            "tickets_booked BETWEEN 0 AND coalesce(capacity, 1000000)", name=op.f("ck_ticket_types_not_oversold")
        ),
        sa.CheckConstraint("max_per_booking BETWEEN 1 AND 1000", name=op.f("ck_ticket_types_booking_limit_in_range")),
        sa.CheckConstraint("sales_close_at > sales_open_at", name=op.f("ck_ticket_types_sales_window_in_order")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_ticket_types_event_id_events")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_types")),
    )
    op.create_index("ix_ticket_types_event_id_position", "ticket_types", ["event_id", "position", "id"], unique=False)
    op.create_table(
        "booking_items",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_type_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("count BETWEEN 1 AND 1000", name=op.f("ck_booking_items_count_in_range")),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_booking_items_booking_id_bookings")),
        sa.ForeignKeyConstraint(
            ["ticket_type_id"], ["ticket_types.id"], name=op.f("fk_booking_items_ticket_type_id_ticket_types")
        ),
        sa.PrimaryKeyConstraint("booking_id", "ticket_type_id", name=op.f("pk_booking_items")),
    )
    op.execute("""
        INSERT INTO ticket_types (id, event_id, name, tickets_booked)
        SELECT gen_random_uuid(), id, 'General admission', tickets_booked FROM events
    """)
    op.execute("""
        INSERT INTO booking_items (booking_id, ticket_type_id, count)
        SELECT bookings.id, ticket_types.id, ticket_count
        FROM bookings JOIN ticket_types ON ticket_types.event_id = bookings.event_id
    """)


def downgrade() -> None:
    op.drop_table("booking_items")
    op.drop_table("ticket_types")
