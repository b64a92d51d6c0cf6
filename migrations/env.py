"""Runs migrations with the application's own metadata; logging is the application's, too."""

import sqlalchemy as sa
from alembic import context
from flask import current_app

# Any number; whoever migrates holds it, so that two machines starting at once do not migrate twice.
MIGRATION_LOCK = 7_283_451

db = current_app.extensions["migrate"].db


def run_online() -> None:
    # A migration may take its time: an engine without the timeouts of requests, and without those of the role.
    engine = sa.create_engine(db.engine.url, poolclass=sa.NullPool)
    with engine.begin() as connection:  # all of it or nothing
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
