"""Statements that each connection plans once."""

import pytest
import sqlalchemy as sa

from bookings_api.extensions import db
from bookings_api.models import Event
from bookings_api.prepared import Prepared

pytestmark = pytest.mark.usefixtures("context")

_TWICE = Prepared("twice", sa.select(sa.bindparam("number", type_=sa.Integer) * 2, sa.literal("100 %")))
_PLANNED = sa.text("SELECT count(*) FROM pg_prepared_statements WHERE name = 'twice'")


def test_a_statement_is_prepared_once_for_each_connection() -> None:
    assert [tuple(_TWICE(number=number).one()) for number in (1, 2)] == [(2, "100 %"), (4, "100 %")]
    assert db.session.scalar(_PLANNED) == 1

    db.session().invalidate()  # as after the loss of a connection
    assert db.session.scalar(_PLANNED) == 0
    assert _TWICE(number=3).one()[0] == 6


def test_a_row_that_is_not_there_is_none() -> None:
    events = Prepared("event_by_title", sa.select(Event).where(Event.title == sa.bindparam("title", type_=sa.String)))

    assert events.one_or_none(Event, title="no such event") is None


def test_two_statements_have_two_names() -> None:
    with pytest.raises(ValueError, match="twice"):
        Prepared("twice", sa.select(sa.literal(1)))


def test_after_a_migration_a_statement_is_prepared_anew() -> None:
    db.session.execute(sa.text("CREATE TABLE notes (note varchar(10))"))
    notes = sa.table("notes", sa.column("note", sa.Text))
    read = Prepared("notes", sa.select(notes.c.note))
    try:
        assert read().all() == []
        db.session.execute(sa.text("ALTER TABLE notes ALTER note TYPE text"))
        with pytest.raises(sa.exc.NotSupportedError):
            read()
        db.session.rollback()
        assert read().all() == []
    finally:
        db.session.rollback()
        db.session.execute(sa.text("DROP TABLE notes"))
