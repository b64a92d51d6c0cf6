"""Lists from a read replica, which show everything that the primary had committed when their request began.

A list asks the primary for its position in the write-ahead log, which costs little, and waits a moment until the
replica has replayed that much. So every client sees each committed change without cookies or sticky sessions. If the
replica is too far behind, silent or not a replica of the primary, this list and those of the next seconds are read on
the primary.
"""

import logging
import threading
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

# Enough for a healthy replica to catch up; streaming replication lags by a millisecond or two.
REPLAY_SECONDS = 0.05
POLL_SECONDS = 0.002
# Limit for a list on the replica, including the checks before it.
SECONDS = 1.0
# How long a replica is not used after it was behind, and after it was silent or wrong.
BEHIND_SECONDS = 1.0
AWAY_SECONDS = 5.0

# The timeline in which the server of a connection was verified, and the number of failures by then. Stored with each
# connection, because one host name may stand for several servers.
_SEEN = "bookings_api.seen"

T = TypeVar("T")

# Bytes since the beginning of the log. A commit is flushed before others see it, unless synchronous_commit is off.
_lsn = sa.case(
    (sa.func.pg_is_in_recovery(), sa.null()),
    (sa.func.current_setting("synchronous_commit") == "off", sa.func.pg_current_wal_insert_lsn()),
    else_=sa.func.pg_current_wal_flush_lsn(),
)


def _bytes(lsn: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.pg_wal_lsn_diff(lsn, sa.literal_column("'0/0'")), sa.BigInteger)


# A promoted server continues in a new timeline. Names of log files begin with its number in hexadecimal.
_POSITION = Prepared("position", sa.select(_bytes(_lsn), sa.func.left(sa.func.pg_walfile_name(_lsn), 8)))
_HAS_REPLAYED = Prepared(
    "has_replayed",
    sa.select(
        sa.and_(
            sa.func.pg_is_in_recovery(),
            _bytes(sa.func.pg_last_wal_replay_lsn()) >= sa.bindparam("lsn", type_=sa.BigInteger),
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


class Unfit(Exception):
    """The replica cannot serve the list."""


class Behind(Unfit):
    """It has not replayed the log far enough."""


class Position(NamedTuple):
    """Bytes and timeline of the primary's log; both None on a server that is a replica itself."""

    lsn: int | None
    timeline: str | None


def position_of_primary() -> Position:
    """The position in the log after everything that is committed now."""
    return Position(*_POSITION()[0])


class Replica:
    """What this process knows about the replica."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._left_alone_until = 0.0  # by time.monotonic(); 0 while it is healthy
        self._failures = 0

    def may_be_asked(self) -> bool:
        """Whether it is healthy; after a failure, one request at a time finds out."""
        if not self._left_alone_until:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._left_alone_until:
                return False
            self._left_alone_until = now + SECONDS
            return True

    def ask(self, read: Callable[[sa.Connection], T], position: Position, *, seconds: float = SECONDS) -> T:
        """What `read` returns on the replica once it has replayed the log up to `position`.

        Raises `Unfit` and SQLAlchemy's errors.
        """
        with time_limit(seconds), self._engine.connect() as connection:
            seen = position.timeline, self._failures
            if connection.info.get(_SEEN) != seen:
                self._require_same_database(connection, position)
                connection.info[_SEEN] = seen
            gives_up_at = time.monotonic() + REPLAY_SECONDS
            while not _HAS_REPLAYED.on(connection, lsn=position.lsn)[0][0]:
                if time.monotonic() > gives_up_at:
                    raise Behind("it is behind")
                time.sleep(POLL_SECONDS)
            result = read(connection)
        self._left_alone_until = 0.0
        return result

    def leave_alone(self, error: Exception) -> None:
        """Stop using it for a while, unless all connections to it are merely busy."""
        if isinstance(error, sa.exc.TimeoutError):
            return
        seconds = BEHIND_SECONDS if isinstance(error, Behind) else AWAY_SECONDS
        self._failures += 1
        self._left_alone_until = time.monotonic() + seconds
        why = str(error) if isinstance(error, Unfit) else type(error).__name__
        logger.warning("the replica is left alone for %d s, lists are the primary's: %s", seconds, why)

    @staticmethod
    def _require_same_database(connection: sa.Connection, position: Position) -> None:
        """A replica of another primary, or of an old one, may be as far in a different log."""
        [(cluster, database, *_)] = _IDENTITY()
        [(replicated_cluster, replicated_database, replicated_timeline, is_replica)] = _IDENTITY.on(connection)
        if (cluster, database) != (replicated_cluster, replicated_database):
            raise Unfit("DATABASE_READ_URL leads to another database than DATABASE_URL")
        if not is_replica:
            raise Unfit("DATABASE_READ_URL leads to no replica")
        if position.timeline is None or int(position.timeline, 16) != replicated_timeline:
            raise Unfit("it is in another timeline")


def init_replica(app: flask.Flask) -> None:
    """Use the replica, if `DATABASE_READ_URL` names one."""
    with app.app_context():
        if REPLICA in db.engines:
            app.extensions[REPLICA] = Replica(db.engines[REPLICA])


def replica_of(app: flask.Flask) -> Replica | None:
    """The replica, or None if everything is read on the primary."""
    replica: Replica | None = app.extensions.get(REPLICA)
    return replica


def read_listing(statement: Prepared, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of the statement, from the replica if there is one and it is up to date."""
    replica = replica_of(flask.current_app)
    if replica is not None and replica.may_be_asked():
        position = position_of_primary()
        try:
            return replica.ask(partial(statement.on, **values), position)
        except (SQLAlchemyError, Unfit) as error:
            replica.leave_alone(error)
    return statement(**values)
