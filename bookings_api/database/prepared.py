"""Prepared statements, which SQLAlchemy compiles once per process and PostgreSQL parses once per connection.

Compiling and planning a statement takes longer than running it. Behind PgBouncer in transaction mode, statements are
sent as plain SQL, because each transaction may use a different server connection.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, NamedTuple, TypeVar

import orjson
import psycopg2
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg

from bookings_api.database.base import Base
from bookings_api.database.engine import SessionlessCursor
from bookings_api.extensions import db

Model = TypeVar("Model", bound=Base)

# Renders parameters in the form that PREPARE expects, such as `$1::UUID`. The driver asyncpg itself is not used.
_DIALECT = asyncpg.dialect(json_serializer=lambda value: orjson.dumps(value).decode())  # type: ignore[no-untyped-call] # SQLAlchemy's

_PREPARED = "bookings_api.database.prepared"

# Use this setting for a statement whose best plan does not depend on its parameters. By default, PostgreSQL plans a
# statement with a LIMIT again for each execution, which takes longer than the execution itself.
PLAN_ONCE = "SET LOCAL plan_cache_mode = force_generic_plan; "

# How many prepared statements and `row_locked` transactions a process runs at the same time. Running more would take
# longer in total, because PostgreSQL's processes compete for the same cores. After a short wait, a statement runs
# anyway, because the others may be slow.
MAX_CONCURRENT = 2
SLOT_WAIT_SECONDS = 0.05
_slots: SimpleQueue[object] = SimpleQueue()  # several times as fast as a semaphore
for _ in range(MAX_CONCURRENT):
    _slots.put(object())


class Prepared:
    """A SQLAlchemy Core statement that each connection prepares on first use. Each bind parameter must have a type."""

    _names: ClassVar[set[str]] = set()

    def __init__(
        self, name: str, statement: sa.ClauseElement, settings: str = "", *, stays_on_server: bool = True
    ) -> None:
        """Compile the statement. `settings` are SET LOCAL statements, which are sent with each execution.

        With `stays_on_server=False`, the statement is sent as plain SQL. Use this for a statement with many variants.
        Otherwise, PostgreSQL would keep each variant in memory for each connection. Raises `ValueError` if `name` is
        taken.
        """
        if name in self._names:
            raise ValueError(f"a statement named {name} already exists")
        self._names.add(name)
        self.name, self.stays_on_server = name, stays_on_server
        compiled: Any = statement.compile(dialect=_DIALECT)
        self._constants = {key: value for key, value in compiled.params.items() if value is not None}
        parameters = [(key, _converter(compiled, key)) for key in compiled.positiontup or ()]
        marks = f" ({', '.join(['%s'] * len(parameters))})" if parameters else ""
        self.prepare = f"PREPARE {name} AS {compiled.string}"
        self._execute = f"{settings}EXECUTE {name}{marks}", parameters
        # plain SQL repeats a parameter wherever it is used
        repeated = [parameters[int(number) - 1] for number in re.findall(r"\$(\d+)", compiled.string)]
        self._plain = settings + re.sub(r"\$\d+", "%s", compiled.string.replace("%", "%%")), repeated

    def __call__(self, **values: Any) -> list[tuple[Any, ...]]:
        """Run the statement and return its rows as psycopg2 reads them, with enums as text. Raises SQLAlchemy's errors.

        Runs in the session's transaction if one is open. Otherwise, the statement is a separate transaction, and its
        connection returns to the pool immediately.
        """
        return run(self.with_values(**values))

    def on(self, connection: sa.Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Run the statement on the given connection and return its rows."""
        return send(connection, self.with_values(**values))

    def one_or_none(self, model: type[Model], **values: Any) -> Model | None:
        """Run the statement and return its row as an object outside any session, or None if there is no row.

        The statement must select all columns of `model`, in their order.
        """
        rows = self(**values)
        return read_row(model, rows[0]) if rows else None

    def with_values(self, **values: Any) -> "BoundStatement":
        return BoundStatement(self, self._constants | values)

    def render(self, values: dict[str, Any], *, is_plain: bool) -> tuple[str, list[Any]]:
        """Return the SQL that runs the statement, and the parameters for psycopg2."""
        text, parameters = self._plain if is_plain else self._execute
        return text, [
            value if (value := values[key]) is None or write is None else write(value) for key, write in parameters
        ]


class BoundStatement(NamedTuple):
    """A prepared statement and the values of its parameters."""

    statement: Prepared
    values: dict[str, Any]


def insert_into(model: type[Base], *columns: str) -> Prepared:
    """Return a statement that inserts a row with the given columns, by default all except generated columns.

    All other columns must be nullable, generated, or have a default in the database.
    """
    table: Any = model.__table__
    names = columns or [column.key for column in table.c if column.computed is None]
    types = {name: table.c[name].type for name in names}
    # a table without the model's Python defaults, which would become parameters
    target = sa.table(table.name, *(sa.column(name, type_) for name, type_ in types.items()))
    values = {name: sa.bindparam(name, type_=type_) for name, type_ in types.items()}
    return Prepared(f"insert_into_{table.name}", sa.insert(target).values(values))


def run(bound: BoundStatement) -> list[tuple[Any, ...]]:
    """Run a statement in the session's transaction if one is open, otherwise as a separate transaction."""
    if db.session.registry.has() and db.session().in_transaction():
        return send(db.session.connection(), bound)
    with statement_slot(), db.engine.connect() as connection:
        return send(connection, bound)


def send(
    connection: sa.Connection, *statements: BoundStatement, begin: str = "", end: str = ""
) -> list[tuple[Any, ...]]:
    """Send all statements in one message and return the rows of the last statement. Raises SQLAlchemy's errors.

    `begin` and `end` are SQL that runs before and after the statements.
    """
    text = ""
    try:
        cursor: Any = connection.connection.cursor()
        is_sessionless = isinstance(cursor, SessionlessCursor)
        if not is_sessionless:
            _prepare(cursor, connection, [bound.statement for bound in statements if bound.statement.stays_on_server])
        texts: list[str] = []
        parameters: list[Any] = []
        for bound in statements:
            is_plain = is_sessionless or not bound.statement.stays_on_server
            sql, values = bound.statement.render(bound.values, is_plain=is_plain)
            texts.append(sql)
            parameters += values
        text = "; ".join(part for part in (begin, *texts, end) if part)
        # psycopg2 unescapes percent signs only if there are parameters
        cursor.execute(text if parameters else text.replace("%%", "%"), parameters or None)
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
    except psycopg2.Error as error:
        # raises SQLAlchemy's error instead, and invalidates a connection that is lost or out of date
        connection._handle_dbapi_exception(error, text, None, None, None)  # noqa: SLF001 - no public function does this
    return rows


@contextmanager
def statement_slot() -> Iterator[None]:
    """Wait briefly for one of the process's `MAX_CONCURRENT` slots, then run the block with or without a slot."""
    slot = None
    with suppress(Empty):
        slot = _slots.get(timeout=SLOT_WAIT_SECONDS)
    try:
        yield
    finally:
        if slot is not None:
            _slots.put(slot)


def read_row(model: type[Model], row: Sequence[Any], **computed: Any) -> Model:
    """Convert a row to an object outside any session. The row must have all columns of `model`, in their order.

    `computed` contains the values of attributes that are not columns of the table.
    """
    keys, enums = _columns_of(model)
    values = dict(zip(keys, row, strict=True))
    for key, enum in enums:
        values[key] = enum(values[key])
    return model.from_row(**values, **computed)


def _prepare(cursor: Any, connection: sa.Connection, statements: Sequence[Prepared]) -> None:
    """Prepare the statements that this connection has not prepared yet, in one message."""
    known: set[str] = connection.info.setdefault(_PREPARED, set())
    new = {statement.name: statement.prepare for statement in statements if statement.name not in known}
    if new:
        cursor.execute("; ".join(new.values()))
        known.update(new)


@cache
def _columns_of(model: type[Base]) -> tuple[list[str], list[tuple[str, Callable[[str], Any]]]]:
    columns = sa.inspect(model).local_table.c
    return columns.keys(), [(c.key, c.type.python_type) for c in columns if isinstance(c.type, sa.Enum)]


# Values of these types are passed as text, because psycopg2 quotes text in C and the original objects in Python.
_TEXT: dict[type[sa.types.TypeEngine[Any]], Callable[[Any], str]] = {
    sa.Uuid: str,
    sa.DateTime: datetime.isoformat,
    sa.LargeBinary: lambda value: f"\\x{value.hex()}",
}


def _converter(compiled: Any, key: str) -> Callable[[Any], Any] | None:
    """Return the function that converts a parameter's values for psycopg2, or None if no conversion is needed."""
    by_type = _TEXT.get(type(compiled.binds[key].type))
    return compiled._bind_processors.get(key) or by_type  # noqa: SLF001 - what SQLAlchemy does for each type
