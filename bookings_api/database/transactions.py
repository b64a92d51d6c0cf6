"""Transactions: one use case, one transaction, one commit.

Services write only inside `transaction()`, through the session, or inside `row_locked()`, with prepared statements.
Work that follows from a commit, such as waking a worker, is given to `Transaction.after_commit`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from bookings_api.database.engine import begin
from bookings_api.database.prepared import Call, few_at_once, send
from bookings_api.extensions import db

logger = logging.getLogger(__name__)

_ACTIVE = "bookings_api.transaction"

# Between the two messages of `row_locked()` lies a millisecond of Python. A process that takes this long is stopped or
# stuck, and must not keep the row locked.
ROW_LOCK_IDLE_SECONDS = 2

# Called by a service with the locked row it is about to change; raises the reason why the row must not change.
Precondition = Callable[[Any], None]


def no_precondition(row: object) -> None:
    """The precondition that is always met."""


class Transaction:
    """The unit of work of one use case, made by `transaction()`."""

    def __init__(self) -> None:
        self._hooks: list[Callable[[], object]] = []

    def after_commit(self, hook: Callable[[], object]) -> None:
        """Run `hook` once the commit has succeeded, and not at all after a rollback."""
        self._hooks.append(hook)

    def run_hooks(self) -> None:
        for hook in self._hooks:
            try:
                hook()
            except Exception:  # the data is committed: a failing hook must not turn that into an error
                logger.exception("after-commit hook failed")


class RowLockedTransaction(Transaction):
    """A transaction of two messages, made by `row_locked()`: lock and read, then write and commit."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__()
        self._connection = connection
        self.is_committed = False

    def lock_and_read(self, lock: Call, facts: Call) -> list[tuple[Any, ...]]:
        """Begin, wait for the lock, and return the facts.

        The lock is a statement by itself: a query that had to wait for a lock sees other tables as they were before
        the wait, while the next statement sees them as they are now.
        """
        limit = f"SET LOCAL idle_in_transaction_session_timeout = '{ROW_LOCK_IDLE_SECONDS}s'"
        return send(self._connection, lock, facts, begin=f"BEGIN; {limit}")

    def write_and_commit(self, *writes: Call) -> None:
        """Write everything and commit. After a lost connection, only the database knows whether this took place."""
        send(self._connection, *writes, end="COMMIT")
        self.is_committed = True

    def roll_back(self) -> None:
        """Roll back what is not committed. psycopg2's own method ignores a transaction begun by our BEGIN."""
        if self._connection.closed or self._connection.invalidated:
            return
        connection: Any = self._connection.connection.dbapi_connection
        if connection.get_transaction_status() == TRANSACTION_STATUS_IDLE:
            return
        is_clean = False
        try:
            with suppress(psycopg2.Error):
                connection.cursor().execute("ROLLBACK")
                is_clean = True
        finally:
            if not is_clean:  # closing it releases the lock as well
                self._connection.invalidate()


@contextmanager
def transaction() -> Iterator[Transaction]:
    """Commit on leaving; roll back on any exception and raise it again.

    Raises `RuntimeError` when entered twice: an inner commit would end the outer use case half-way.
    """
    _require_no_transaction()
    session = db.session()
    session.commit()  # ends earlier reads, which each were a transaction by itself
    tx = session.info[_ACTIVE] = Transaction()
    try:
        begin(session.connection())
        yield tx
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.info[_ACTIVE]
    tx.run_hooks()


@contextmanager
def row_locked() -> Iterator[RowLockedTransaction]:
    """A transaction that locks a row for two round trips only; rolls back unless it was committed.

    No transaction stays open on the pooled connection, whatever ends this block: a refusal, a timeout, or gevent
    killing the greenlet. Raises `RuntimeError` inside `transaction()`.
    """
    _require_no_transaction()
    with few_at_once(), db.engine.connect() as connection:
        tx = RowLockedTransaction(connection)
        try:
            yield tx
        finally:
            tx.roll_back()
    if tx.is_committed:
        tx.run_hooks()


def end_reading() -> None:
    """Return the connection to the pool before slow work that needs none, such as hashing a password."""
    db.session.rollback()


def require_transaction() -> None:
    """Raise `RuntimeError` outside `transaction()`: a row lock would be released as soon as it was taken."""
    if not _is_open():
        raise RuntimeError("rows are locked inside transaction() only")


def _require_no_transaction() -> None:
    if _is_open():
        raise RuntimeError("a transaction is already open: one use case, one commit")


def _is_open() -> bool:
    # asking must not create a session
    return db.session.registry.has() and _ACTIVE in db.session().info
