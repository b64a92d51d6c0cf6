"""Add the contact of an event, emails to replaced guests, and emails to accounts that booked for other people."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CONTACT = ("contact_name", "contact_email")

# The columns of events that increment the version of the event catalog; see 0001.
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


def upgrade() -> None:
    op.add_column("events", sa.Column("contact_name", sa.String(length=100), nullable=True))
    op.add_column("events", sa.Column("contact_email", sa.String(length=254), nullable=True))
    op.execute("UPDATE events SET contact_name = users.name FROM users WHERE users.id = organizer_id")
    _create_trigger(*EVENT_DEFINITION, *CONTACT)
    _allow_kinds(*EMAIL_KINDS, "booking_reassigned")
    op.drop_constraint(op.f("uq_outbox_emails_broadcast_id_booking_id"), "outbox_emails")
    op.create_unique_constraint(
        op.f("uq_outbox_emails_broadcast_id_booking_id_recipient"),
        "outbox_emails",
        ["broadcast_id", "booking_id", "recipient"],
    )


def downgrade() -> None:
    op.execute(
        "DELETE FROM outbox_emails WHERE kind = 'booking_reassigned'"
        " OR broadcast_id IS NOT NULL AND payload->>'reference' IS NULL"
    )
    op.drop_constraint(op.f("uq_outbox_emails_broadcast_id_booking_id_recipient"), "outbox_emails")
    op.create_unique_constraint(
        op.f("uq_outbox_emails_broadcast_id_booking_id"), "outbox_emails", ["broadcast_id", "booking_id"]
    )
    _allow_kinds(*EMAIL_KINDS)
    _create_trigger(*EVENT_DEFINITION)
    for column in CONTACT:
        op.drop_column("events", column)


def _create_trigger(*columns: str) -> None:
    op.execute("DROP TRIGGER event_catalog_changed ON events")
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER event_catalog_changed
        AFTER INSERT OR DELETE OR UPDATE OF {", ".join(columns)} ON events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION increment_event_catalog_version()
    """)


def _allow_kinds(*kinds: str) -> None:
    for table in ("outbox_emails", "event_broadcasts"):
        name = op.f(f"ck_{table}_kind")
        op.drop_constraint(name, table)
        op.create_check_constraint(name, table, sa.column("kind", sa.String).in_(kinds))
