"""Connects to PostgreSQL and sets its timeouts. The module `unresponsive` adds timeouts for servers that hang."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import sqlalchemy as sa
from flask import Flask
from psycopg2 import extensions

from bookings_api.database import timeouts, unresponsive
from bookings_api.extensions import db, migrate

READ_ONLY = "25006"  # read_only_sql_transaction
# SQLSTATEs of unusable prepared statements: a table has changed, or a statement does not exist or already exists.
_STALE = {"0A000", "26000", "42P05"}

# Bind key of the engine for the read replica.
REPLICA = "replica"

# The DATABASE_POOL_MODE in which PgBouncer assigns a server connection to each transaction.
TRANSACTION = "transaction"

_SETTINGS = {
    "timezone": "UTC",
    "lock_timeout": f"{timeouts.LOCK_SECONDS}s",
    "statement_timeout": f"{timeouts.AUTOCOMMIT_STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{timeouts.IDLE_IN_TRANSACTION_SECONDS}s",
}
_SESSION_OPTIONS = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
_SET_LOCAL = "".join(f"SET LOCAL {name} = '{value}'; " for name, value in _SETTINGS.items())

_RETURNED_AT = "bookings_api.returned_at"


def init_database(app: Flask) -> None:
    """Bind SQLAlchemy to PostgreSQL and, if configured, to the read replica."""
    app.config["SQLALCHEMY_DATABASE_URI"] = app.config["DATABASE_URL"]
    pool = {
        "pool_size": app.config["DATABASE_POOL_SIZE"],
        "max_overflow": 0,
        "pool_timeout": timeouts.POOL_SECONDS,
        "pool_use_lifo": True,  # reuses the same few connections, which have prepared statements
    }
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _options(app) | pool
    if app.config["DATABASE_READ_URL"]:
        replica = {"url": app.config["DATABASE_READ_URL"], "pool_timeout": timeouts.REPLICA_POOL_SECONDS}
        app.config["SQLALCHEMY_BINDS"] = {REPLICA: _options(app, unresponsive.REPLICA_NAME) | pool | replica}
    extensions.set_wait_callback(unresponsive.wait_for_response)
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        _add_listeners(db.engine)
        for engine in db.engines.values():
            sa.event.listen(engine, "checkin", _on_checkin)
            sa.event.listen(engine, "checkout", _ping_idle_connection)


def unpooled_engine(app: Flask) -> sa.Engine:
    """Create an engine without a pool. Its connections are available even if the pool is exhausted."""
    engine = sa.create_engine(app.config["DATABASE_URL"], poolclass=sa.NullPool, **_options(app))
    _add_listeners(engine)
    return engine


@contextmanager
def snapshot(app: Flask) -> Iterator[sa.Connection]:
    """Open a read-only connection that sees a single snapshot of the database and has no time limits.

    The application name exempts the connection from the time limits of `wait_for_response`.
    """
    options = _options(app, f"{app.name} snapshot") | {"isolation_level": "REPEATABLE READ"}
    engine = sa.create_engine(app.config["DATABASE_URL"], poolclass=sa.NullPool, **options)
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        for limit in _SETTINGS.keys() - {"timezone"}:  # with SET LOCAL, which works through any connection pooler
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
        yield connection


def forget_connections() -> None:
    """Drop inherited connections in a forked process, because parent and child must not use the same connection."""
    for engine in db.engines.values():
        engine.dispose(close=False)


def begin(connection: sa.Connection) -> None:
    """Begin a transaction. The connection returns to autocommit mode when it returns to the pool."""
    connection.connection.dbapi_connection.autocommit = False  # type: ignore[union-attr] # not None while checked out
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{timeouts.STATEMENT_SECONDS}s'")


class SessionlessCursor(extensions.cursor):
    """A cursor for PgBouncer in transaction mode, where session settings do not persist.

    Sends the settings together with the first statement of each transaction. PostgreSQL runs all statements in a
    message as one transaction, so the settings also apply to a statement in autocommit mode.
    """

    def execute(self, query: Any, parameters: Any = None) -> None:
        begins = self.connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
        super().execute(_SET_LOCAL + query if begins else query, parameters)


def _options(app: Flask, application_name: str = unresponsive.PRIMARY_NAME) -> dict[str, Any]:
    is_sessionless = app.config["DATABASE_POOL_MODE"] == TRANSACTION
    return {
        # avoids the round trips of BEGIN and ROLLBACK for a single read
        "isolation_level": "AUTOCOMMIT",
        "hide_parameters": True,  # keeps personal data out of logs
        "connect_args": {
            # libpq ignores this inside the wait callback, but applies it when it tries several addresses in turn
            "connect_timeout": timeouts.CONNECT_SECONDS,
            "application_name": application_name,
            **({"cursor_factory": SessionlessCursor} if is_sessionless else {"options": _SESSION_OPTIONS}),
        },
    }


def _add_listeners(engine: sa.Engine) -> None:
    sa.event.listen(engine, "handle_error", _discard_unusable_connections)
    sa.event.listen(engine, "do_connect", unresponsive.require_responsive)


def _on_checkin(connection: extensions.connection | None, record: sa.pool.ConnectionPoolEntry) -> None:
    if connection and not connection.closed:
        connection.autocommit = True
        record.info[_RETURNED_AT] = time.monotonic()


def _ping_idle_connection(
    connection: extensions.connection, record: sa.pool.ConnectionPoolEntry, _: sa.pool.PoolProxiedConnection
) -> None:
    """Ping a connection that has been idle. Raises `DisconnectionError` if it is dead, so SQLAlchemy replaces it."""
    if time.monotonic() - record.info.get(_RETURNED_AT, float("inf")) < timeouts.PING_AFTER_SECONDS:
        return
    try:
        unresponsive.ping(connection)
    except psycopg2.Error as error:
        raise sa.exc.DisconnectionError from error


def _discard_unusable_connections(context: sa.engine.ExceptionContext) -> None:
    """Discard a connection if its server has become read-only or its prepared statements are no longer valid."""
    if getattr(context.original_exception, "pgcode", None) in {READ_ONLY, *_STALE}:
        context.is_disconnect = True
