"""Statements that are prepared once per connection."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from bookings_api.database.prepared import MAX_CONCURRENT, Prepared
from bookings_api.extensions import db
from bookings_api.models import Event
from tests.polling import wait_until

pytestmark = pytest.mark.usefixtures("context")

_TWICE = Prepared("twice", sa.select(sa.bindparam("number", type_=sa.Integer) * 2, sa.literal("100 %")))
_SLEEPING = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
)
_PREPARED = sa.text("SELECT count(*) FROM pg_prepared_statements WHERE name = 'twice'")


def test_a_statement_is_prepared_once_per_connection() -> None:
    assert [_TWICE(number=number) for number in (1, 2)] == [[(2, "100 %")], [(4, "100 %")]]
    assert db.session.scalar(_PREPARED) == 1

    db.session().invalidate()  # like a lost connection
    assert db.session.scalar(_PREPARED) == 0
    assert _TWICE(number=3) == [(6, "100 %")]


def test_one_or_none_returns_none_without_a_row() -> None:
    events = Prepared("event_by_title", sa.select(Event).where(Event.title == sa.bindparam("title", type_=sa.String)))

    assert events.one_or_none(Event, title="no such event") is None


def test_slow_statements_do_not_delay_others(app: Flask) -> None:
    sleep = Prepared("sleep", sa.select(sa.cast(sa.func.pg_sleep(sa.bindparam("seconds", type_=sa.Float)), sa.Text)))
    finished: list[str] = []

    def run(name: str, seconds: float) -> None:
        with app.app_context():
            sleep(seconds=seconds)
        finished.append(name)

    with ThreadPoolExecutor(MAX_CONCURRENT + 1) as pool:
        for _ in range(MAX_CONCURRENT):
            pool.submit(run, "long", 2)
        wait_until(lambda: db.session.scalar(_SLEEPING) == MAX_CONCURRENT, seconds=10)
        pool.submit(run, "short", 0)

    assert finished[0] == "short"


def test_two_statements_cannot_have_the_same_name() -> None:
    with pytest.raises(ValueError, match="twice"):
        Prepared("twice", sa.select(sa.literal(1)))


def test_a_statement_is_prepared_again_after_a_migration() -> None:
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
