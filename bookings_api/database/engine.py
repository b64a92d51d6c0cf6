"""The way to PostgreSQL, on which nothing waits for ever: connections, locks, statements, and a server that is silent.

A server ends what takes too long, as long as it runs. One that hangs (a stopped process, a disk that does not answer)
ends nothing, and its kernel goes on acknowledging packets, so that no setting of TCP helps; against that psycopg2 waits
in `_wait`, which gives up. Then the connection is closed, the request is answered 503, and whether a COMMIT, or a
booking, that was under way took place is known to the database alone, as after any loss of a connection. What one
thread found out the others need not: until the server answers again, one at a time asks it, and all others are refused
at once (`_Silence`).
"""

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg2
import sqlalchemy as sa
from flask import Flask
from psycopg2 import extensions, extras

from bookings_api.extensions import db, migrate

CONNECT_SECONDS = 3
POOL_SECONDS = 2
# A listing that gets no connection to the replica is read on the primary.
REPLICA_POOL_SECONDS = 0.25
LOCK_SECONDS = 5
# Of a transaction; a statement on its own has a second more than a lock. It may wait for more than one, each that long,
# and what nobody waits for any more (`_wait`) must not be done behind the client's back.
STATEMENT_SECONDS = 15
STATEMENT_ALONE_SECONDS = LOCK_SECONDS + 1
IDLE_SECONDS = 30
# What a server that runs needs to say that it has ended a statement.
GRACE_SECONDS = 2
# A connection that nobody used for so long is asked whether it is still one; to ask each time costs as much as a read.
REST_SECONDS = 1
# How long a server is left alone that did not even answer a new connection, and what clients are told to wait.
RETRY_AFTER_SECONDS = 2

READ_ONLY = "25006"  # read_only_sql_transaction
# What a prepared statement meets whose tables have changed, that is gone, or there already.
_STALE = {"0A000", "26000", "42P05"}

APPLICATION_NAME = "event-booking-api"
# The bind key of the engine for listings, where there is a read replica; see replica.py. The name of its connections
# does not begin as that of the others: what is known of one server is not known of the other.
REPLICA = "replica"
_REPLICA_NAME = f"listings-of-{APPLICATION_NAME}"

# Of DATABASE_POOL_MODE: what PgBouncer calls that pool_mode.
TRANSACTION = "transaction"

_SETTINGS = {
    "timezone": "UTC",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": f"{STATEMENT_ALONE_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
}
_FOR_A_SESSION = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
_FOR_A_TRANSACTION = "".join(f"SET LOCAL {name} = '{value}'; " for name, value in _SETTINGS.items())

_RETURNED_AT = "bookings_api.returned_at"
_SILENT = "PostgreSQL does not answer"
_READINESS = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}

# When everything must be answered, by time.monotonic(); see `answered_within`.
_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))
_is_pinging: ContextVar[bool] = ContextVar("is_pinging", default=False)


def init_database(app: Flask) -> None:
    """Bind SQLAlchemy; nothing may wait for ever, and no parameter reaches a log."""
    app.config["SQLALCHEMY_DATABASE_URI"] = app.config["DATABASE_URL"]
    pool = {
        "pool_size": app.config["DATABASE_POOL_SIZE"],
        "max_overflow": 0,
        "pool_timeout": POOL_SECONDS,
        "pool_use_lifo": True,  # few connections stay in use, with what they have prepared; the others rest
    }
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _options(app) | pool
    if app.config["DATABASE_READ_URL"]:
        options = {
            "url": app.config["DATABASE_READ_URL"],
            **_options(app, _REPLICA_NAME),
            **pool,
            "pool_timeout": REPLICA_POOL_SECONDS,
        }
        app.config["SQLALCHEMY_BINDS"] = {REPLICA: options}
    extensions.set_wait_callback(_wait)
    db.init_app(app)
    migrate.init_app(app, db)
    with app.app_context():
        _watch(db.engine)
        for engine in db.engines.values():
            sa.event.listen(engine, "checkin", _note_return)
            sa.event.listen(engine, "checkout", _ping_after_rest)


def engine_apart(app: Flask) -> sa.Engine:
    """A way beside the pool, for one connection that is to be had however busy the others are."""
    engine = sa.create_engine(app.config["DATABASE_URL"], poolclass=sa.NullPool, **_options(app))
    _watch(engine)
    return engine


@contextmanager
def snapshot(app: Flask) -> Iterator[sa.Connection]:
    """One state of the whole database, to read and no more, for as long as that takes; on a connection of its own.

    Under another name, so that `_wait` leaves it alone too. The limits are lifted inside the transaction, which
    reaches the server through any pooler.
    """
    engine = sa.create_engine(
        app.config["DATABASE_URL"],
        poolclass=sa.NullPool,
        isolation_level="REPEATABLE READ",
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_SECONDS, "application_name": f"{app.name} snapshot"},
    )
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
        yield connection


def forget_connections() -> None:
    """Of the parent, after a fork: two processes on one connection would get each other's answers."""
    for engine in db.engines.values():
        engine.dispose(close=False)


def begin(connection: sa.Connection) -> None:
    """Begin a transaction; reads are on their own again when the connection is given back."""
    connection.connection.dbapi_connection.autocommit = False  # type: ignore[union-attr]
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")


class SessionlessCursor(extensions.cursor):
    """Of a connection to PgBouncer, which has another server for each transaction, and so no session to keep settings.

    Each transaction begins with them, a statement on its own, too: PostgreSQL takes what is sent at once for one.
    """

    def execute(self, query: Any, parameters: Any = None) -> None:
        """psycopg2's method, in one round trip as there. Of several statements it gives the last one's result."""
        begins = self.connection.status == extensions.STATUS_READY
        super().execute(_FOR_A_TRANSACTION + query if begins else query, parameters)


def _options(app: Flask, application_name: str = APPLICATION_NAME) -> dict[str, Any]:
    is_sessionless = app.config["DATABASE_POOL_MODE"] == TRANSACTION
    return {
        # a read is its own transaction, without round trips for BEGIN and ROLLBACK; see transactions.py
        "isolation_level": "AUTOCOMMIT",
        "hide_parameters": True,
        "connect_args": {
            # libpq's own limit does not count while `_wait` waits; it covers what comes before, such as many addresses
            "connect_timeout": CONNECT_SECONDS,
            "application_name": application_name,
            **({"cursor_factory": SessionlessCursor} if is_sessionless else {"options": _FOR_A_SESSION}),
        },
    }


def _watch(engine: sa.Engine) -> None:
    sa.event.listen(engine, "handle_error", _begin_anew)
    sa.event.listen(engine, "do_connect", _connect_to_no_silent_server)


@contextmanager
def answered_within(seconds: float) -> Iterator[None]:
    """Give up on a silent server after so many seconds in all, for who cannot wait as long as a request."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class _Silence:
    """What the threads of this process know of a server that does not answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0  # by time.monotonic(); 0: it answers
        self._prober = 0
        self._answered_at = 0.0

    def require_none(self) -> None:
        """Before something is asked: raises `OperationalError`, unless this thread is the one that may ask."""
        if not self._until:
            return
        with self._lock:
            now, me = time.monotonic(), threading.get_ident()
            if now < self._until and me != self._prober:
                raise psycopg2.OperationalError(_SILENT)
            self._until, self._prober = now + CONNECT_SECONDS, me

    def begin(self, *, asked_at: float, is_new_connection: bool) -> None:
        """Somebody waited in vain. An old connection may be dead by itself; so the first who had one tries another."""
        with self._lock:
            now, me = time.monotonic(), threading.get_ident()
            if self._answered_at > asked_at:  # somebody else
                return
            if now >= self._until or me == self._prober:
                self._until, self._prober = now + RETRY_AFTER_SECONDS, 0 if is_new_connection else me

    def end(self) -> None:
        """It answered."""
        self._answered_at = time.monotonic()
        if self._until:
            with self._lock:
                self._until = 0.0


_silence, _silence_of_replica = _Silence(), _Silence()


def _wait(connection: extensions.connection) -> None:
    """Wait for an answer, as psycopg2's wait callback. Raises `OperationalError`; psycopg2 then closes the connection.

    A connection that somebody else in this process made, to create a database for example, waits as long as it takes.
    """
    if f"application_name={APPLICATION_NAME}" in connection.dsn:
        silence = _silence
    elif f"application_name={_REPLICA_NAME}" in connection.dsn:
        silence = _silence_of_replica
    else:
        extras.wait_select(connection)
        return
    in_transaction = connection.status == extensions.STATUS_BEGIN
    is_new = connection.status == extensions.STATUS_SETUP
    if not in_transaction:
        silence.require_none()
    asked_at, patience = time.monotonic(), _patience_with(connection)
    gives_up_at = asked_at + patience
    deadline = min(gives_up_at, _deadline.get())
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), _READINESS[state])
        if not poller.poll(max(0, deadline - time.monotonic()) * 1000):
            # a shorter wait proves nothing, nor does a statement on its own: PostgreSQL may be at it for longer
            if deadline == gives_up_at and (in_transaction or patience == CONNECT_SECONDS):
                silence.begin(asked_at=asked_at, is_new_connection=is_new)
            raise psycopg2.OperationalError(_SILENT)
    silence.end()


def _patience_with(connection: extensions.connection) -> float:
    """Seconds. Connecting, a ping and BEGIN are answered at once by any server that is well.

    Of statements PostgreSQL's own timeouts come first, inside a transaction and of those on their own.
    """
    if connection.status == extensions.STATUS_BEGIN:
        return STATEMENT_SECONDS + GRACE_SECONDS
    is_statement = connection.status == extensions.STATUS_READY and connection.autocommit and not _is_pinging.get()
    return LOCK_SECONDS + GRACE_SECONDS if is_statement else CONNECT_SECONDS


def _note_return(connection: extensions.connection | None, record: sa.pool.ConnectionPoolEntry) -> None:
    if connection and not connection.closed:
        connection.autocommit = True
        record.info[_RETURNED_AT] = time.monotonic()


def _ping_after_rest(
    connection: extensions.connection, record: sa.pool.ConnectionPoolEntry, _: sa.pool.PoolProxiedConnection
) -> None:
    """SQLAlchemy opens another one in the place of one that is none any more."""
    if time.monotonic() - record.info.get(_RETURNED_AT, float("inf")) < REST_SECONDS:
        return
    token = _is_pinging.set(True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        raise sa.exc.DisconnectionError from error
    finally:
        _is_pinging.reset(token)


def _connect_to_no_silent_server(*_: object) -> None:
    """Every attempt would wait in the server's queue, though its client is long gone, and hold up those after it."""
    _silence.require_none()


def _begin_anew(context: sa.engine.ExceptionContext) -> None:
    """Leave connections that will not work again, and take new ones.

    After a failover the server that we are connected to may have become a replica; after a migration what was prepared
    may be out of date.
    """
    if getattr(context.original_exception, "pgcode", None) in {READ_ONLY, *_STALE}:
        context.is_disconnect = True
