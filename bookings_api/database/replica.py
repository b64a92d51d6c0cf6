"""Reads lists from a replica after it has replayed everything that the primary has committed.

Each read first gets the primary's position in the write-ahead log, and then waits briefly until the replica has
replayed the log up to that position. Clients therefore see every committed change. If the replica lags, does not
respond or does not replicate the primary, the process reads lists from the primary for the next few seconds.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import flask
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from bookings_api.database.engine import REPLICA
from bookings_api.database.prepared import Prepared
from bookings_api.database.unresponsive import time_limit
from bookings_api.extensions import db

logger = logging.getLogger(__name__)

# How long a read waits for the replica to catch up. Streaming replication usually lags by one or two milliseconds.
REPLAY_SECONDS = 0.05
POLL_SECONDS = 0.002
# Time limit for a read from the replica, including the checks before it.
READ_SECONDS = 1.0
# How long the process avoids the replica after a lag, and after any other failure.
LAG_PAUSE_SECONDS = 1.0
FAILURE_PAUSE_SECONDS = 5.0

# Key in a connection's `info`. The value is the timeline and the number of failures when the connection was verified.
# Each connection is verified, because a host name may resolve to several servers.
_VERIFIED = "bookings_api.verified"

T = TypeVar("T")

# The end of the primary's log. Commits are flushed before they become visible, unless synchronous_commit is off.
_lsn = sa.case(
    (sa.func.pg_is_in_recovery(), sa.null()),
    (sa.func.current_setting("synchronous_commit") == "off", sa.func.pg_current_wal_insert_lsn()),
    else_=sa.func.pg_current_wal_flush_lsn(),
)


def _as_bytes(lsn: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Convert a position to the number of bytes since the beginning of the log."""
    return sa.cast(sa.func.pg_wal_lsn_diff(lsn, sa.literal_column("'0/0'")), sa.BigInteger)


# A promoted server starts a new timeline. The name of a log file begins with the timeline in 8 hexadecimal digits.
_POSITION = Prepared("position", sa.select(_as_bytes(_lsn), sa.func.left(sa.func.pg_walfile_name(_lsn), 8)))
_HAS_REPLAYED = Prepared(
    "has_replayed",
    sa.select(
        sa.and_(
            sa.func.pg_is_in_recovery(),
            _as_bytes(sa.func.pg_last_wal_replay_lsn()) >= sa.bindparam("lsn", type_=sa.BigInteger),
        )
    ),
)
_database = sa.table("pg_database", sa.column("oid"), sa.column("datname"))
_IDENTITY = Prepared(
    "identity_of_cluster",
    sa.select(
        sa.literal_column("(pg_control_system()).system_identifier"),
        sa.select(_database.c.oid).where(_database.c.datname == sa.func.current_database()).scalar_subquery(),
        sa.literal_column("(pg_control_checkpoint()).timeline_id"),
        sa.func.pg_is_in_recovery(),
    ),
)


class UnusableReplica(Exception):
    """The replica cannot serve a read."""


class LaggingReplica(UnusableReplica):
    """The replica has not replayed the log far enough."""


class Position(NamedTuple):
    """A byte position in the primary's write-ahead log, and the log's timeline.

    Both are None if `DATABASE_URL` names a replica.
    """

    lsn: int | None
    timeline: str | None


def position_of_primary() -> Position:
    """Return the primary's current position in its write-ahead log. All committed changes precede this position."""
    return Position(*_POSITION()[0])


class Replica:
    """The read replica. After a failure, the process does not use the replica for a few seconds."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._paused_until = 0.0  # by time.monotonic(); 0 while the replica works
        self._failures = 0

    def allow_read(self) -> bool:
        """Whether the caller may read from the replica. After a pause, one caller at a time may try the replica."""
        if self._paused_until:
            now = time.monotonic()
            if now < self._paused_until:
                return False
            self._paused_until = now + READ_SECONDS
        return True

    def run(self, read: Callable[[sa.Connection], T], position: Position, *, seconds: float = READ_SECONDS) -> T:
        """Wait until the replica has replayed the log up to `position`, then return the result of `read`.

        The time limit `seconds` includes the wait. Raises `UnusableReplica` and SQLAlchemy's errors.
        """
        with time_limit(seconds), self._engine.connect() as connection:
            state = position.timeline, self._failures
            if connection.info.get(_VERIFIED) != state:
                _require_replica_of_primary(connection, position)
                connection.info[_VERIFIED] = state
            gives_up_at = time.monotonic() + REPLAY_SECONDS
            while not _HAS_REPLAYED.on(connection, lsn=position.lsn)[0][0]:
                if time.monotonic() > gives_up_at:
                    raise LaggingReplica("the replica is lagging")
                time.sleep(POLL_SECONDS)
            result = read(connection)
        self._paused_until = 0.0
        return result

    def record_failure(self, error: Exception) -> None:
        """Stop using the replica for a few seconds, unless the read failed because the pool had no free connection."""
        if isinstance(error, sa.exc.TimeoutError):
            return
        seconds = LAG_PAUSE_SECONDS if isinstance(error, LaggingReplica) else FAILURE_PAUSE_SECONDS
        self._failures += 1
        self._paused_until = time.monotonic() + seconds
        reason = str(error) if isinstance(error, UnusableReplica) else type(error).__name__
        logger.warning("reading lists from the primary for %d s: %s", seconds, reason)


def _require_replica_of_primary(connection: sa.Connection, position: Position) -> None:
    """Raise `UnusableReplica` unless the server replicates the primary. Positions are comparable only in that case."""
    [(cluster, database, *_)] = _IDENTITY()
    [(replicated_cluster, replicated_database, replicated_timeline, is_replica)] = _IDENTITY.on(connection)
    if (cluster, database) != (replicated_cluster, replicated_database):
        raise UnusableReplica("DATABASE_READ_URL and DATABASE_URL name different databases")
    if not is_replica:
        raise UnusableReplica("DATABASE_READ_URL does not name a replica")
    if position.timeline is None or int(position.timeline, 16) != replicated_timeline:
        raise UnusableReplica("the replica is on another timeline")


def init_replica(app: flask.Flask) -> None:
    """Use the replica in `DATABASE_READ_URL`, if it is set."""
    with app.app_context():
        if REPLICA in db.engines:
            app.extensions[REPLICA] = Replica(db.engines[REPLICA])


def replica_of(app: flask.Flask) -> Replica | None:
    """Return the replica, or None if none is configured."""
    replica: Replica | None = app.extensions.get(REPLICA)
    return replica


def read_listing(statement: Prepared, **values: Any) -> list[tuple[Any, ...]]:
    """Read rows from the replica if it is configured and up to date, otherwise from the primary."""
    replica = replica_of(flask.current_app)
    if replica is not None and replica.allow_read():
        position = position_of_primary()
        try:
            return replica.run(partial(statement.on, **values), position)
        except (SQLAlchemyError, UnusableReplica) as error:
            replica.record_failure(error)
    return statement(**values)
