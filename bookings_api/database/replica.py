"""Reads lists from a replica, which show everything the primary had committed when their request began.

Each list asks the primary for its position in the write-ahead log, which is cheap, and waits briefly until the replica
has replayed that much. Clients therefore see every committed change without cookies or sticky sessions. If the replica
lags, does not respond or does not replicate the primary, lists are read from the primary for a few seconds.
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

# Enough for a healthy replica to catch up, because streaming replication lags by a millisecond or two.
REPLAY_SECONDS = 0.05
POLL_SECONDS = 0.002
# Limit for a list on the replica, including the checks before it.
SECONDS = 1.0
# How long a replica is not used after it lagged, and after any other failure.
BEHIND_SECONDS = 1.0
AWAY_SECONDS = 5.0

# Key in a connection's info: the timeline and the number of failures when its server was verified. Per connection,
# because one host name may stand for several servers.
_VERIFIED = "bookings_api.verified"

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
    """The replica has not replayed the log far enough."""


class Position(NamedTuple):
    """Bytes and timeline of the primary's log; both None if that server is itself a replica."""

    lsn: int | None
    timeline: str | None


def position_of_primary() -> Position:
    """The position in the log after everything committed so far."""
    return Position(*_POSITION()[0])


class Replica:
    """What this process knows about the replica."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._avoided_until = 0.0  # by time.monotonic(); 0 while it is healthy
        self._failures = 0

    def may_be_asked(self) -> bool:
        """Whether a list may try it. After a failure, one request at a time does, while the others avoid it."""
        if self._avoided_until:
            now = time.monotonic()
            if now < self._avoided_until:
                return False
            self._avoided_until = now + SECONDS
        return True

    def ask(self, read: Callable[[sa.Connection], T], position: Position, *, seconds: float = SECONDS) -> T:
        """Read on the replica once it has replayed the log up to `position`. Raises `Unfit`, SQLAlchemy's errors."""
        with time_limit(seconds), self._engine.connect() as connection:
            state = position.timeline, self._failures
            if connection.info.get(_VERIFIED) != state:
                _require_replica_of_primary(connection, position)
                connection.info[_VERIFIED] = state
            gives_up_at = time.monotonic() + REPLAY_SECONDS
            while not _HAS_REPLAYED.on(connection, lsn=position.lsn)[0][0]:
                if time.monotonic() > gives_up_at:
                    raise Behind("the replica is behind")
                time.sleep(POLL_SECONDS)
            result = read(connection)
        self._avoided_until = 0.0
        return result

    def avoid(self, error: Exception) -> None:
        """Stop using it for a while, unless its connections are merely busy."""
        if isinstance(error, sa.exc.TimeoutError):
            return
        seconds = BEHIND_SECONDS if isinstance(error, Behind) else AWAY_SECONDS
        self._failures += 1
        self._avoided_until = time.monotonic() + seconds
        reason = str(error) if isinstance(error, Unfit) else type(error).__name__
        logger.warning("reading lists from the primary for %d s: %s", seconds, reason)


def _require_replica_of_primary(connection: sa.Connection, position: Position) -> None:
    """Raise `Unfit` for other servers: a replica of another or an old primary may be as far in a different log."""
    [(cluster, database, *_)] = _IDENTITY()
    [(replicated_cluster, replicated_database, replicated_timeline, is_replica)] = _IDENTITY.on(connection)
    if (cluster, database) != (replicated_cluster, replicated_database):
        raise Unfit("DATABASE_READ_URL and DATABASE_URL name different databases")
    if not is_replica:
        raise Unfit("DATABASE_READ_URL does not name a replica")
    if position.timeline is None or int(position.timeline, 16) != replicated_timeline:
        raise Unfit("the replica is in another timeline")


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
    """Read rows from the replica if it exists and is up to date, otherwise from the primary."""
    replica = replica_of(flask.current_app)
    if replica is not None and replica.may_be_asked():
        position = position_of_primary()
        try:
            return replica.ask(partial(statement.on, **values), position)
        except (SQLAlchemyError, Unfit) as error:
            replica.avoid(error)
    return statement(**values)
