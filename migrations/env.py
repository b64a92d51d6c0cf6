"""Runs migrations with the application's own metadata; logging is the application's, too."""

import time

import sqlalchemy as sa
from alembic import context
from flask import current_app

# Any number; whoever migrates holds it, so that two machines starting at once do not migrate twice.
MIGRATION_LOCK = 7_283_451
POLL_SECONDS = 0.2

# Of each transaction. A migration may take its time, whatever the role's own timeouts are; those remain outside of one.
_SETTINGS = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL timezone = 'UTC'
"""

db = current_app.extensions["migrate"].db


def run_online() -> None:
    engine = sa.create_engine(db.engine.url, poolclass=sa.NullPool)  # without the timeouts of requests
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(_SETTINGS))
    # on a connection of its own: a migration may end its transaction, for an index that is made CONCURRENTLY
    with engine.begin() as lock, engine.connect() as connection:
        # who waited within a statement would have that index wait for him
        while not lock.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(MIGRATION_LOCK))):
            time.sleep(POLL_SECONDS)
        context.configure(connection=connection, target_metadata=db.metadata, compare_server_default=True)
        with context.begin_transaction():  # all of it or nothing
            context.run_migrations()


def run_offline() -> None:
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
