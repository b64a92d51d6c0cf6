"""Runs migrations with the metadata, database URL and logging configuration of the application."""

import time

import sqlalchemy as sa
from alembic import context
from flask import current_app

# Key of the advisory lock that prevents two machines from migrating at the same time. The number is arbitrary.
MIGRATION_LOCK = 7_283_451
POLL_SECONDS = 0.2

# Disables the timeouts of the database role in each transaction, because a migration may take longer.
_SETTINGS = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL timezone = 'UTC'
"""

db = current_app.extensions["migrate"].db


def run_online() -> None:
    engine = sa.create_engine(db.engine.url, poolclass=sa.NullPool)  # without the timeouts of the application's engine
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(_SETTINGS))
    # A separate connection holds the lock, because a migration may commit to create an index CONCURRENTLY.
    with engine.begin() as lock, engine.connect() as connection:
        # Polls for the lock. CREATE INDEX CONCURRENTLY would wait for a transaction that is blocked in a statement.
        while not lock.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(MIGRATION_LOCK))):
            time.sleep(POLL_SECONDS)
        context.configure(connection=connection, target_metadata=db.metadata, compare_server_default=True)
        with context.begin_transaction():  # runs either all migrations or none
            context.run_migrations()


def run_offline() -> None:
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
