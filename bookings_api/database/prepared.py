"""Statements that run with most requests, parsed and planned once for each connection (PostgreSQL: PREPARE).

To plan one that writes three rows takes PostgreSQL longer than to run it, and to compile it SQLAlchemy, too. Through
PgBouncer, where the next transaction may have another server, they are sent as they are and planned each time.
"""

import re
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, TypeVar

import orjson
import psycopg2
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg

from bookings_api.database.base import Base
from bookings_api.database.engine import SessionlessCursor
from bookings_api.extensions import db

Model = TypeVar("Model", bound=Base)

# Of SQLAlchemy's dialects the one that writes what PREPARE takes, `$1::UUID`. Its driver is not needed for that.
_DIALECT = asyncpg.dialect(json_serializer=lambda value: orjson.dumps(value).decode())  # type: ignore[no-untyped-call]

_KNOWN = "bookings_api.database.prepared"

# So many of one process at once are done sooner than more would be, between which PostgreSQL's processes would have to
# take turns. Where they take long, a lock for example, others go on nevertheless.
AT_ONCE = 2
GIVE_WAY_SECONDS = 0.05
_few = threading.Semaphore(AT_ONCE)


class Prepared:
    """A statement of SQLAlchemy Core; each of its bind parameters has a type."""

    _names: ClassVar[set[str]] = set()

    def __init__(
        self, name: str, statement: sa.ClauseElement, settings: str = "", *, stays_on_server: bool = True
    ) -> None:
        """`name` is unique within the service; `settings` are SET LOCAL statements sent with each execution.

        Statements of which there are many do not stay on the server, where each connection would hold all of them.
        Raises `ValueError` for a name that another statement has.
        """
        if name in self._names:
            raise ValueError(f"there is a statement {name} already")
        self._names.add(name)
        self._stays_on_server = stays_on_server
        compiled: Any = statement.compile(dialect=_DIALECT)
        self._name = name
        self._constants = {key: value for key, value in compiled.params.items() if value is not None}
        self._parameters = [(key, _writer(compiled, key)) for key in compiled.positiontup or ()]
        self._prepare = f"PREPARE {name} AS {compiled.string}"
        marks = ", ".join(["%s"] * len(self._parameters))
        self._execute = f"{settings}EXECUTE {name} ({marks})" if marks else f"{settings}EXECUTE {name}"
        # a parameter may stand in several places
        plain = re.sub(r"\$(\d+)", r"%(\1)s", compiled.string.replace("%", "%%")) if marks else compiled.string
        self._plain = settings + plain

    def __call__(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows, as psycopg2 reads them, enums as text. Raises SQLAlchemy's errors.

        In the session's transaction, if it has one; else on its own, and the connection is given back at once.
        """
        if db.session.registry.has() and db.session().in_transaction():
            return self.on(db.session.connection(), **values)
        is_early = _few.acquire(timeout=GIVE_WAY_SECONDS)
        try:
            with db.engine.connect() as connection:
                return self.on(connection, **values)
        finally:
            if is_early:
                _few.release()

    def on(self, connection: sa.Connection, **values: Any) -> list[tuple[Any, ...]]:
        """The same on a connection of the caller's."""
        given = self._constants | values
        parameters = [None if (value := given[key]) is None else write(value) for key, write in self._parameters]
        try:
            cursor: Any = connection.connection.cursor()
            if isinstance(cursor, SessionlessCursor) or not self._stays_on_server:
                numbered = {str(number): value for number, value in enumerate(parameters, 1)}
                cursor.execute(self._plain, numbered or None)
            else:
                self._execute_prepared(cursor, connection, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        except psycopg2.Error as error:
            # SQLAlchemy's own way: its error in place of this one, and a connection that is of no more use is left
            connection._handle_dbapi_exception(error, self._execute, None, None, None)  # noqa: SLF001
        return rows

    def _execute_prepared(self, cursor: Any, connection: sa.Connection, parameters: list[Any]) -> None:
        known = connection.info.setdefault(_KNOWN, set())
        if self._name not in known:
            cursor.execute(self._prepare)
            known.add(self._name)
        cursor.execute(self._execute, parameters or None)

    def one_or_none(self, model: type[Model], **values: Any) -> Model | None:
        """Run a statement that selects all columns of `model`; the row as an object that no session knows."""
        rows = self(**values)
        return read_row(model, rows[0]) if rows else None


def read_row(model: type[Model], row: Sequence[Any]) -> Model:
    """A row with all columns of `model`, in their order, as an object that no session knows."""
    return model.of_row(**{key: read(value) for (key, read), value in zip(_columns_of(model), row, strict=True)})


@cache
def _columns_of(model: type[Base]) -> list[tuple[str, Callable[[Any], Any]]]:
    columns = sa.inspect(model).local_table.c
    return [(c.key, c.type.python_type if isinstance(c.type, sa.Enum) else _as_it_is) for c in columns]


def _as_it_is(value: Any) -> Any:
    return value


# As text, which psycopg2 quotes in C: of such objects it asks Python each time how they are written.
_TEXT: dict[type[sa.types.TypeEngine[Any]], Callable[[Any], str]] = {
    sa.Uuid: str,
    sa.DateTime: datetime.isoformat,
    sa.LargeBinary: lambda value: f"\\x{value.hex()}",
}


def _writer(compiled: Any, key: str) -> Callable[[Any], Any]:
    """How values of a parameter are given to psycopg2: enums by SQLAlchemy, for example."""
    by_type: Callable[[Any], Any] = _TEXT.get(type(compiled.binds[key].type), _as_it_is)
    return compiled._bind_processors.get(key) or by_type  # noqa: SLF001 - what each type does with a value
