"""SQL that tests run directly on the database."""

from typing import Any

import sqlalchemy as sa

WAITING_SESSIONS = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def execute(database: sa.Engine, *statements: str) -> None:
    """Run the statements in one transaction."""
    with database.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def plan_of(database: sa.Engine, statement: sa.Select[Any]) -> str:
    """Return the plan of a statement with its values, which PostgreSQL knows while planning."""
    compiled = statement.compile(database, compile_kwargs={"literal_binds": True})
    with database.connect() as connection:
        return "\n".join(connection.exec_driver_sql(f"EXPLAIN {compiled}".replace("%", "%%")).scalars())


def waiting_sessions(database: sa.Engine) -> int:
    """Count sessions that wait for a lock, in a new transaction, because `pg_stat_activity` is fixed within one."""
    with database.connect() as connection:
        return int(connection.scalar(WAITING_SESSIONS))
