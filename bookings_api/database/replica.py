"""Listings on a read replica, none of which tells less than the primary had committed when its request began.

A listing asks the primary how far its log is, which costs it next to nothing, and waits a moment until the replica has
replayed as much; so everybody sees at once what anybody has written, without cookies or clients that stick to servers.
Where the replica does not get there in time, does not answer, or is none, the listing is the primary's, and for a while
those that follow are, too.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import flask
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bookings_api.database.engine import REPLICA
from bookings_api.database.prepared import Prepared
from bookings_api.database.unresponsive import time_limit
from bookings_api.extensions import db

logger = logging.getLogger(__name__)

# What a replica that is well needs to catch up; a streaming one is behind by a millisecond or two.
REPLAY_SECONDS = 0.05
POLL_SECONDS = 0.002
# How long a listing may take there, with all that comes before it.
SECONDS = 1.0
# How long a replica is left alone that was behind, and one that did not answer or is not the primary's.
BEHIND_SECONDS = 1.0
AWAY_SECONDS = 5.0

# In which timeline the server of a connection was seen to follow our primary, and after how many failures. Of each
# connection: one name may stand for several servers.
_SEEN = "bookings_api.seen"

T = TypeVar("T")

# Bytes from the beginning of the log. Who commits flushes the log before others see it, unless that is switched off.
_lsn = sa.case(
    (sa.func.pg_is_in_recovery(), sa.null()),
    (sa.func.current_setting("synchronous_commit") == "off", sa.func.pg_current_wal_insert_lsn()),
    else_=sa.func.pg_current_wal_flush_lsn(),
)


def _bytes(lsn: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.pg_wal_lsn_diff(lsn, sa.literal_column("'0/0'")), sa.BigInteger)


# A server that was promoted goes on in a new timeline; its number in hexadecimal is how names of log files begin.
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
    """The replica does not have what the listing must show."""


class Behind(Unfit):
    """It has not replayed it yet."""


class Position(NamedTuple):
    """How far the primary's log is: bytes and timeline; neither of a server that has no log of its own."""

    lsn: int | None
    timeline: str | None


def position_of_primary() -> Position:
    """All that is committed at this moment is in the log before it."""
    return Position(*_POSITION()[0])


class Replica:
    """What a process knows of the replica."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._left_alone_until = 0.0  # by time.monotonic(); 0: it is well
        self._failures = 0

    def may_be_asked(self) -> bool:
        """Whether it is well; of one that was not, one request at a time finds out."""
        if not self._left_alone_until:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._left_alone_until:
                return False
            self._left_alone_until = now + SECONDS
            return True

    def ask(self, read: Callable[[Session], T], position: Position, *, seconds: float = SECONDS) -> T:
        """What `read` reads there once it has replayed the log up to `position`.

        Raises `Unfit`, and SQLAlchemy's errors.
        """
        with time_limit(seconds), Session(self._engine, expire_on_commit=False) as session:
            connection = session.connection()
            seen = position.timeline, self._failures
            if connection.info.get(_SEEN) != seen:
                self._require_same_database(connection, position)
                connection.info[_SEEN] = seen
            gives_up_at = time.monotonic() + REPLAY_SECONDS
            while not _HAS_REPLAYED.on(connection, lsn=position.lsn)[0][0]:
                if time.monotonic() > gives_up_at:
                    raise Behind("it is behind")
                time.sleep(POLL_SECONDS)
            result = read(session)
        self._left_alone_until = 0.0
        return result

    def leave_alone(self, error: Exception) -> None:
        """Do without it for a while; not because all connections to it are busy."""
        if isinstance(error, sa.exc.TimeoutError):
            return
        seconds = BEHIND_SECONDS if isinstance(error, Behind) else AWAY_SECONDS
        self._failures += 1
        self._left_alone_until = time.monotonic() + seconds
        why = str(error) if isinstance(error, Unfit) else type(error).__name__
        logger.warning("the replica is left alone for %d s, lists are the primary's: %s", seconds, why)

    @staticmethod
    def _require_same_database(connection: sa.Connection, position: Position) -> None:
        """One that follows another primary, or still an old one, may have replayed as much, and of something else."""
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
    """None where all is read on the primary."""
    replica: Replica | None = app.extensions.get(REPLICA)
    return replica


def read_listing(read: Callable[[Session], T]) -> T:
    """What `read` reads, on the replica if there is one and it will do.

    Its objects belong to no session then: nothing more is loaded of them.
    """
    replica = replica_of(flask.current_app)
    if replica is not None and replica.may_be_asked():
        position = position_of_primary()
        try:
            return replica.ask(read, position)
        except (SQLAlchemyError, Unfit) as error:
            replica.leave_alone(error)
    return read(db.session())
