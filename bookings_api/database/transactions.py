"""Transactions. A use case normally has one transaction and one commit.

Services write through the session inside `transaction()`, or with prepared statements inside `row_locked()`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from bookings_api.database.engine import begin
from bookings_api.database.prepared import BoundStatement, send, statement_slot
from bookings_api.extensions import db

logger = logging.getLogger(__name__)

_ACTIVE = "bookings_api.transaction"


# A function that a service calls with a locked row before it changes the row. Raises an error if the row must not
# change.
Precondition = Callable[[Any], None]


def no_precondition(row: object) -> None:
    """Accept every row."""


class Transaction:
    """The unit of work of one use case."""

    def __init__(self) -> None:
        self._hooks: list[Callable[[], object]] = []

    def after_commit(self, hook: Callable[[], object]) -> None:
        """Run `hook` after the commit, for example to wake a worker. Errors in the hook are only logged."""
        self._hooks.append(hook)

    def run_hooks(self) -> None:
        for hook in self._hooks:
            try:
                hook()
            except Exception:  # the data is committed, so the request must not fail
                logger.exception("after-commit hook failed")


class _RollBack(Exception):
    """Rolls back a transaction whose changes are not wanted."""


class RowLockedTransaction(Transaction):
    """A transaction that normally has two round trips: one locks and reads, and the other writes and commits."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__()
        self._connection = connection

    def lock_and_read(self, lock: BoundStatement, facts: BoundStatement) -> list[tuple[Any, ...]]:
        """Begin the transaction, run `lock`, then run `facts` and return its rows.

        The two are separate statements, because a statement that waits for a lock sees other tables as they were before
        the wait.
        """
        return send(self._connection, lock, facts, begin="BEGIN")

    def read(self, statement: BoundStatement) -> list[tuple[Any, ...]]:
        """Run a further statement under the lock and return its rows. This costs another round trip."""
        return send(self._connection, statement)

    def write_and_commit(self, *writes: BoundStatement) -> None:
        """Run `writes` and commit. If the connection is lost, the transaction may or may not have been committed."""
        send(self._connection, *writes, end="COMMIT")

    def roll_back(self) -> None:
        """Roll back unless committed. Sends ROLLBACK, because psycopg2's `rollback` ignores a BEGIN sent as SQL."""
        if self._connection.closed or self._connection.invalidated:
            return
        connection: Any = self._connection.connection.dbapi_connection
        if connection.get_transaction_status() == TRANSACTION_STATUS_IDLE:
            return
        try:
            connection.cursor().execute("ROLLBACK")
        except BaseException as error:
            self._connection.invalidate()  # closes the connection, which also releases the lock
            if not isinstance(error, psycopg2.Error):
                raise


@contextmanager
def transaction() -> Iterator[Transaction]:
    """Open a transaction. Commits at the end of the block, or rolls back if the block raises an exception.

    Raises `RuntimeError` when nested, because the inner commit would also commit the unfinished outer use case.
    """
    _require_no_transaction()
    session = db.session()
    session.commit()  # releases the connection of earlier reads, which ran in autocommit mode
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
def rolled_back_transaction() -> Iterator[Transaction]:
    """Open a transaction that is rolled back at the end of the block, to see the effect of changes."""
    with suppress(_RollBack), transaction() as tx:
        yield tx
        raise _RollBack


@contextmanager
def row_locked() -> Iterator[RowLockedTransaction]:
    """Open a `RowLockedTransaction`. Rolls back at the end of the block unless `write_and_commit` has committed.

    The rollback also happens if gevent kills the greenlet. Raises `RuntimeError` inside `transaction()`.
    """
    _require_no_transaction()
    with statement_slot(), db.engine.connect() as connection:
        tx = RowLockedTransaction(connection)
        try:
            yield tx
        finally:
            tx.roll_back()
    tx.run_hooks()


def end_reading() -> None:
    """Give the session's connection back to the pool. Call this before slow work, such as hashing a password."""
    db.session.rollback()


def require_transaction() -> None:
    """Raise `RuntimeError` outside `transaction()`, where PostgreSQL would release a row lock immediately."""
    if not _is_open():
        raise RuntimeError("rows can be locked only inside transaction()")


def _require_no_transaction() -> None:
    if _is_open():
        raise RuntimeError("a transaction is already open: one use case, one commit")


def _is_open() -> bool:
    # checks the registry first, because db.session() would create a session
    return db.session.registry.has() and _ACTIVE in db.session().info
