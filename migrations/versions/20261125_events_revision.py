"""a number that every change of an event raises"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE events_revision")
    # The lock before the number: who finds nobody with the lock knows that every change that is counted is over.
    op.execute("""
        CREATE FUNCTION raise_events_revision() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(TG_RELID::integer, 0);
            PERFORM nextval('events_revision');
            RETURN NULL;
        END $$
    """)
    for name, event, unit in (
        ("events_revised", "INSERT OR UPDATE OR DELETE", "ROW"),
        ("events_emptied", "TRUNCATE", "STATEMENT"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON events FOR EACH {unit} EXECUTE FUNCTION raise_events_revision()"
        )


def downgrade() -> None:
    op.execute("DROP TRIGGER events_emptied ON events")
    op.execute("DROP TRIGGER events_revised ON events")
    op.execute("DROP FUNCTION raise_events_revision")
    op.execute("DROP SEQUENCE events_revision")
