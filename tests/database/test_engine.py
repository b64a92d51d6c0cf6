"""Deadlines of database calls, and connections that are no longer usable."""

import time

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from bookings_api.database.transactions import transaction
from bookings_api.database.unresponsive import time_limit
from bookings_api.extensions import db

pytestmark = pytest.mark.usefixtures("context")


def test_a_statement_that_exceeds_its_deadline_closes_only_its_connection() -> None:
    began = time.monotonic()
    with pytest.raises(OperationalError, match="does not respond") as raised, time_limit(0.5):
        db.session.execute(sa.text("SELECT pg_sleep(10)"))
    db.session.rollback()

    assert time.monotonic() - began < 2
    assert raised.value.connection_invalidated
    assert db.session.scalar(sa.text("SELECT 1")) == 1


def test_a_connection_to_a_server_that_became_read_only_is_replaced() -> None:
    before = db.session.scalar(sa.text("SELECT pg_backend_pid()"))
    with pytest.raises(sa.exc.InternalError), transaction():
        db.session.execute(sa.text("SET TRANSACTION READ ONLY"))
        db.session.execute(sa.text("TRUNCATE users CASCADE"))

    assert db.session.scalar(sa.text("SELECT pg_backend_pid()")) != before
