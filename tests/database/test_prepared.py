"""Statements that each connection plans once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.database.prepared import AT_ONCE, Prepared
from bookings_api.extensions import db
from bookings_api.models import Event
from tests.polling import wait_until

pytestmark = pytest.mark.usefixtures("context")

_TWICE = Prepared("twice", sa.select(sa.bindparam("number", type_=sa.Integer) * 2, sa.literal("100 %")))
_RESTING = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
)
_PLANNED = sa.text("SELECT count(*) FROM pg_prepared_statements WHERE name = 'twice'")


def test_a_statement_is_prepared_once_for_each_connection() -> None:
    assert [_TWICE(number=number) for number in (1, 2)] == [[(2, "100 %")], [(4, "100 %")]]
    assert db.session.scalar(_PLANNED) == 1

    db.session().invalidate()  # as after the loss of a connection
    assert db.session.scalar(_PLANNED) == 0
    assert _TWICE(number=3) == [(6, "100 %")]


def test_a_row_that_is_not_there_is_none() -> None:
    events = Prepared("event_by_title", sa.select(Event).where(Event.title == sa.bindparam("title", type_=sa.String)))

    assert events.one_or_none(Event, title="no such event") is None


def test_statements_that_take_long_do_not_keep_others_waiting(app: Flask) -> None:
    rests = Prepared("rests", sa.select(sa.cast(sa.func.pg_sleep(sa.bindparam("seconds", type_=sa.Float)), sa.Text)))
    over: list[str] = []

    def run(name: str, seconds: float) -> None:
        with app.app_context():
            rests(seconds=seconds)
        over.append(name)

    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        for _ in range(AT_ONCE):
            pool.submit(run, "long", 2)
        wait_until(lambda: db.session.scalar(_RESTING) == AT_ONCE, seconds=10)
        pool.submit(run, "short", 0)

    assert over[0] == "short"


def test_two_statements_have_two_names() -> None:
    with pytest.raises(ValueError, match="twice"):
        Prepared("twice", sa.select(sa.literal(1)))


def test_after_a_migration_a_statement_is_prepared_anew() -> None:
    db.session.execute(sa.text("CREATE TABLE notes (note varchar(10))"))
    notes = sa.table("notes", sa.column("note", sa.Text))
    read = Prepared("notes", sa.select(notes.c.note))
    try:
        assert read() == []
        db.session.execute(sa.text("ALTER TABLE notes ALTER note TYPE text"))
        with pytest.raises(sa.exc.NotSupportedError):
            read()
        db.session.rollback()
        assert read() == []
    finally:
        db.session.rollback()
        db.session.execute(sa.text("DROP TABLE notes"))
