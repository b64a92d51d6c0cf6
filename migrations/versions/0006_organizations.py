"""Add organizations, members, event teams, API keys and verified email addresses.

All existing accounts and events are assigned to one organization. Organizers become its owners, and their email
addresses count as verified.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from uuid_utils.compat import uuid7

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

EMAIL_KINDS = (
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
)
NEW_EMAIL_KINDS = ("email_verification", "email_change", "email_changed", "team_invitation", "team_changed")
TOKEN_PURPOSES = ("invitation", "password_reset")
NEW_TOKEN_PURPOSES = ("email_verification", "email_change")
MEMBER_ROLES = ("owner", "organizer", "user")


def upgrade() -> None:
    _create_organizations()
    _create_default_organization()
    _create_api_keys()
    _redefine_events()

    op.add_column("bookings", sa.Column("api_key_id", sa.Uuid(), nullable=True))
    op.add_column("bookings", sa.Column("organization_id", sa.Uuid(), nullable=True))
    op.add_column("bookings", sa.Column("external_id", sa.String(length=255), nullable=True))
    op.add_column("bookings", sa.Column("external_request_hash", sa.LargeBinary(length=32), nullable=True))
    op.add_column("bookings", sa.Column("booked_by", sa.String(length=100), nullable=True))
    op.add_column("bookings", sa.Column("client_metadata", postgresql.JSONB(none_as_null=True), nullable=True))
    op.alter_column("bookings", "user_id", nullable=True)
    op.create_foreign_key(op.f("fk_bookings_api_key_id_api_keys"), "bookings", "api_keys", ["api_key_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_bookings_organization_id_organizations"), "bookings", "organizations", ["organization_id"], ["id"]
    )
    for name, condition in {
        "booked_by_account_or_key": "(user_id IS NULL) = (api_key_id IS NOT NULL)",
        "organization_if_booked_by_key": "(api_key_id IS NULL) = (organization_id IS NULL)",
        "external_id_of_organization": "external_id IS NULL OR organization_id IS NOT NULL",
        "external_request_hash_if_external_id": "(external_id IS NULL) = (external_request_hash IS NULL)",
        "booked_by_names_key": "(api_key_id IS NULL) = (booked_by IS NULL)",
    }.items():
        op.create_check_constraint(op.f(f"ck_bookings_{name}"), "bookings", condition)
    op.create_index(
        "uq_bookings_organization_id_external_id",
        "bookings",
        ["organization_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index(
        "ix_bookings_organization_id_id",
        "bookings",
        ["organization_id", "id"],
        unique=False,
        postgresql_where=sa.text("organization_id IS NOT NULL"),
    )

    op.drop_constraint(op.f("fk_idempotency_keys_user_id_users"), "idempotency_keys", type_="foreignkey")
    op.alter_column("idempotency_keys", "user_id", new_column_name="actor_id")

    op.add_column("one_time_tokens", sa.Column("subject_id", sa.Uuid(), nullable=True))
    op.add_column("one_time_tokens", sa.Column("new_email", sa.String(length=254), nullable=True))
    op.execute(
        "UPDATE one_time_tokens SET subject_id = organizations.id FROM organizations WHERE purpose = 'invitation'"
    )
    op.drop_constraint(op.f("uq_one_time_tokens_user_id_purpose"), "one_time_tokens", type_="unique")
    op.create_unique_constraint(
        op.f("uq_one_time_tokens_user_id_purpose_subject_id"),
        "one_time_tokens",
        ["user_id", "purpose", "subject_id"],
        postgresql_nulls_not_distinct=True,
    )
    _allow("one_time_tokens", "purpose", *TOKEN_PURPOSES, *NEW_TOKEN_PURPOSES)
    for table in ("outbox_emails", "event_broadcasts"):
        _allow(table, "kind", *EMAIL_KINDS, *NEW_EMAIL_KINDS)
    op.add_column(
        "outbox_emails", sa.Column("erase_when_done", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "ix_outbox_emails_erase_when_done",
        "outbox_emails",
        ["id"],
        unique=False,
        postgresql_where=sa.text("erase_when_done"),
    )
    # indexes for exporting and erasing the data of an account
    op.create_index("ix_bookings_guest_email", "bookings", [sa.literal_column("lower(guest_email)")], unique=False)
    op.create_index("ix_outbox_emails_user_id", "outbox_emails", ["user_id"], unique=False)
    op.create_index(
        "ix_outbox_emails_recipient", "outbox_emails", [sa.literal_column("lower(recipient)")], unique=False
    )


def _create_organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *_timestamps(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "memberships",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", _choice("role", *MEMBER_ROLES), nullable=True),
        sa.Column("invited_as", _choice("invited_as", *MEMBER_ROLES), nullable=True),
        sa.Column("invited_name", sa.String(length=100), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *_timestamps(),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_memberships_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id_users")),
        sa.PrimaryKeyConstraint("organization_id", "user_id", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"], unique=False)
    op.create_index(
        "ix_memberships_leaders",
        "memberships",
        ["organization_id", "user_id"],
        unique=False,
        postgresql_where=sa.text("role <> 'user' AND is_active"),
    )
    op.create_table(
        "event_team",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", _choice("role", "co_organizer", "check_in"), nullable=False),
        sa.Column("is_accepted", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *_timestamps(),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_event_team_event_id_events")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_event_team_user_id_users")),
        sa.PrimaryKeyConstraint("event_id", "user_id", name=op.f("pk_event_team")),
    )
    op.create_index("ix_event_team_user_id", "event_team", ["user_id"], unique=False)


def _create_default_organization() -> None:
    op.add_column("users", sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True))
    organization = sa.table("organizations", sa.column("id", sa.Uuid), sa.column("name"))
    op.execute(organization.insert().values(id=uuid7(), name="Default organization"))
    op.execute("""
        INSERT INTO memberships (organization_id, user_id, role, invited_as, invited_name, is_active, created_at)
        SELECT organizations.id, users.id,
            CASE WHEN password_hash IS NULL THEN NULL WHEN role = 'organizer' THEN 'owner' ELSE 'user' END,
            CASE WHEN password_hash IS NULL THEN role END,
            CASE WHEN password_hash IS NULL THEN users.name END,
            is_active, users.created_at
        FROM users, organizations
    """)
    op.add_column("users", sa.Column("formerly", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False))
    op.execute("UPDATE users SET email_verified_at = now() WHERE role = 'organizer' AND password_hash IS NOT NULL")
    op.drop_index("ix_users_active_organizers", "users")
    op.drop_column("users", "role")


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("event_ids", sa.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("own_events_only", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("hint", sa.String(length=12), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("previous_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *_timestamps(),
        sa.CheckConstraint(
            "(previous_hash IS NULL) = (previous_expires_at IS NULL)",
            name=op.f("ck_api_keys_previous_expires_at_if_rotated"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_api_keys_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name=op.f("fk_api_keys_created_by_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
        sa.UniqueConstraint("previous_hash", name=op.f("uq_api_keys_previous_hash")),
    )
    op.create_index("ix_api_keys_organization_id", "api_keys", ["organization_id", "id"], unique=False)


def _redefine_events() -> None:
    op.add_column("events", sa.Column("organization_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE events SET organization_id = organizations.id FROM organizations")
    op.execute("SET CONSTRAINTS ALL IMMEDIATE")  # see 0001
    op.alter_column("events", "organization_id", nullable=False)
    op.create_foreign_key(
        op.f("fk_events_organization_id_organizations"), "events", "organizations", ["organization_id"], ["id"]
    )
    op.create_index("ix_events_organization_id", "events", ["organization_id"], unique=False)
    _recreate_trigger()


def downgrade() -> None:
    """Drop organizations, teams and API keys. Bookings made with an API key are assigned to the creator of the key."""
    for table, column, values in (
        ("outbox_emails", "kind", NEW_EMAIL_KINDS),
        ("one_time_tokens", "purpose", NEW_TOKEN_PURPOSES),
    ):
        rows = sa.table(table, sa.column(column, sa.String))
        op.execute(rows.delete().where(rows.c[column].in_(values)))
    op.drop_index("ix_bookings_guest_email", "bookings")
    op.drop_index("ix_outbox_emails_user_id", "outbox_emails")
    op.drop_index("ix_outbox_emails_recipient", "outbox_emails")
    op.drop_column("outbox_emails", "erase_when_done")  # also drops its index
    for table in ("outbox_emails", "event_broadcasts"):
        _allow(table, "kind", *EMAIL_KINDS)
    _allow("one_time_tokens", "purpose", *TOKEN_PURPOSES)
    op.execute("""
        DELETE FROM one_time_tokens AS older USING one_time_tokens AS newer
        WHERE older.user_id = newer.user_id AND older.purpose = newer.purpose AND older.id < newer.id
    """)
    op.drop_constraint(op.f("uq_one_time_tokens_user_id_purpose_subject_id"), "one_time_tokens", type_="unique")
    op.drop_column("one_time_tokens", "subject_id")
    op.drop_column("one_time_tokens", "new_email")
    op.create_unique_constraint(op.f("uq_one_time_tokens_user_id_purpose"), "one_time_tokens", ["user_id", "purpose"])

    op.execute("DELETE FROM idempotency_keys WHERE actor_id NOT IN (SELECT id FROM users)")
    op.alter_column("idempotency_keys", "actor_id", new_column_name="user_id")
    op.create_foreign_key(op.f("fk_idempotency_keys_user_id_users"), "idempotency_keys", "users", ["user_id"], ["id"])

    op.execute(
        "UPDATE bookings SET user_id = created_by_id FROM api_keys WHERE api_keys.id = api_key_id AND user_id IS NULL"
    )
    for name in (
        "booked_by_account_or_key",
        "organization_if_booked_by_key",
        "external_id_of_organization",
        "external_request_hash_if_external_id",
        "booked_by_names_key",
    ):
        op.drop_constraint(op.f(f"ck_bookings_{name}"), "bookings", type_="check")
    op.alter_column("bookings", "user_id", nullable=False)
    for column in (
        "client_metadata",
        "external_request_hash",
        "external_id",
        "organization_id",
        "booked_by",
        "api_key_id",
    ):
        op.drop_column("bookings", column)  # also drops its constraints and indexes

    op.add_column("users", sa.Column("role", _choice("role", "organizer", "user"), server_default="user"))
    op.execute("""
        UPDATE users SET role = 'organizer' FROM memberships
        WHERE user_id = users.id AND coalesce(invited_as, memberships.role) <> 'user'
    """)
    op.alter_column("users", "role", nullable=False)
    op.drop_column("users", "formerly")
    op.drop_column("users", "email_verified_at")
    op.create_index(
        "ix_users_active_organizers",
        "users",
        ["id"],
        unique=False,
        postgresql_where=sa.text("role = 'organizer' AND is_active"),
    )
    op.execute("DROP TRIGGER event_catalog_changed ON events")
    op.drop_column("events", "organization_id")
    _recreate_trigger()
    for table in ("api_keys", "event_team", "memberships", "organizations"):
        op.drop_table(table)


def _timestamps() -> list[sa.Column[object]]:
    return [
        sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
        for name in ("created_at", "updated_at")
    ]


def _choice(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)


def _allow(table: str, column: str, *values: str) -> None:
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, sa.column(column, sa.String).in_(values))


def _recreate_trigger() -> None:
    """Recreate the trigger for all columns of events that bookings do not change; see 0001."""
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
