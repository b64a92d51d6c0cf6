"""Runs migrations with the application's own engine and metadata; logging is the application's, too."""

import sqlalchemy as sa
from alembic import context
from flask import current_app

# Any number; whoever migrates holds it, so that two machines starting at once do not migrate twice.
MIGRATION_LOCK = 7_283_451

db = current_app.extensions["migrate"].db


def run_online() -> None:
    # all of it or nothing, where the application's reads need no transaction
    with db.engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        # a migration may take its time; the timeouts of the engine are for requests
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
        connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.configure(connection=connection, target_metadata=db.metadata, compare_server_default=True)
        context.run_migrations()


def run_offline() -> None:
    context.configure(url=db.engine.url, target_metadata=db.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
