"""One use case, one transaction, one commit.

Services write only inside `transaction()`, or with one statement inside `single_statement()`. What must happen because
something was committed (handing a mail to Celery) is given to `Transaction.after_commit` and runs once the data is
safe, never before.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bookings_api.database.engine import begin
from bookings_api.extensions import db

logger = logging.getLogger(__name__)

_ACTIVE = "bookings_api.transaction"


# Called by a service with the row that it has locked and is about to change; raises what forbids the change.
Precondition = Callable[[Any], None]


def no_precondition(row: object) -> None:
    """The precondition that is always met."""


class Transaction:
    """The unit of work of one use case; made by `transaction()` or `single_statement()`."""

    def __init__(self) -> None:
        self._hooks: list[Callable[[], object]] = []

    def after_commit(self, hook: Callable[[], object]) -> None:
        """Run `hook` once the commit has succeeded; a rolled back transaction forgets it."""
        self._hooks.append(hook)

    def run_hooks(self) -> None:
        for hook in self._hooks:
            try:
                hook()
            except Exception:  # the data is committed: whatever a hook meets must not turn it into a failure
                logger.exception("after-commit hook failed")


@contextmanager
def transaction() -> Iterator[Transaction]:
    """Commit on leaving, or roll back on any exception and raise it on.

    Raises `RuntimeError` when entered twice: an inner commit would end the outer use case half-way.
    """
    session = db.session()
    if _ACTIVE in session.info:
        raise RuntimeError("a transaction is already open: one use case, one commit")
    session.commit()  # ends what was read before, which needed no transaction of PostgreSQL's
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
def single_statement() -> Iterator[Transaction]:
    """As `transaction()`, for a use case that writes with one statement, which PostgreSQL commits by itself."""
    if _is_open():
        raise RuntimeError("a transaction is already open: one use case, one commit")
    tx = Transaction()
    try:
        yield tx
    except BaseException:
        db.session.rollback()
        raise
    tx.run_hooks()


def end_reading() -> None:
    """Give the connection back before slow work that needs none, such as hashing a password."""
    db.session.rollback()


def require_transaction() -> None:
    """Refuse to go on outside `transaction()`: a row lock would be gone as soon as it was taken.

    Raises `RuntimeError`.
    """
    if not _is_open():
        raise RuntimeError("rows are locked inside transaction() only")


def _is_open() -> bool:
    # a session that nobody has used is not made to be asked
    return db.session.registry.has() and _ACTIVE in db.session().info
