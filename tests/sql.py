"""SQL that tests run directly on the database."""

import sqlalchemy as sa

WAITING_SESSIONS = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def execute(database: sa.Engine, *statements: str) -> None:
    """Run the statements in one transaction."""
    with database.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def waiting_sessions(database: sa.Engine) -> int:
    """Count sessions that wait for a lock, in a new transaction, because `pg_stat_activity` is fixed within one."""
    with database.connect() as connection:
        return int(connection.scalar(WAITING_SESSIONS))
