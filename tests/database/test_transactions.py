"""`transaction()` commits once per use case and then runs its hooks."""

import pytest
import sqlalchemy as sa
from uuid_utils.compat import uuid7

from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.inventory.locking import lock_event
from bookings_api.models import User
from tests.factories import new_email

pytestmark = pytest.mark.usefixtures("context")


def _new_user() -> User:
    return User(email=new_email(), password_hash="x")


def _user_count() -> int:
    """Count on a separate connection, which sees only committed rows."""
    with db.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(User)).scalar_one()


def test_hooks_run_after_the_commit() -> None:
    seen = []
    with transaction() as tx:
        db.session.add(_new_user())
        tx.after_commit(lambda: seen.append(_user_count()))
        db.session.flush()
        assert seen == []

    assert seen == [1]


def test_an_exception_rolls_back_and_discards_the_hooks() -> None:
    seen = []
    with pytest.raises(LookupError), transaction() as tx:
        db.session.add(_new_user())
        tx.after_commit(lambda: seen.append("ran"))
        db.session.flush()
        raise LookupError

    assert _user_count() == 0
    assert seen == []


def test_a_failing_hook_is_logged_and_the_next_hook_runs(caplog: pytest.LogCaptureFixture) -> None:
    seen = []
    with transaction() as tx:
        db.session.add(_new_user())
        tx.after_commit(lambda: 1 / 0)
        tx.after_commit(lambda: seen.append("ran"))

    assert seen == ["ran"]
    assert _user_count() == 1
    assert "after-commit hook failed" in caplog.text


def test_nested_transactions_are_refused() -> None:
    with pytest.raises(RuntimeError, match="one use case, one commit"), transaction(), transaction():
        pass


def test_a_transaction_works_after_a_refused_nested_one() -> None:
    with pytest.raises(RuntimeError), transaction(), transaction():
        pass
    with transaction():
        db.session.add(_new_user())

    assert _user_count() == 1


def test_a_row_cannot_be_locked_outside_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="inside transaction"):
        lock_event(uuid7())
