"""Statements that run with most requests, parsed and planned once for each connection (PostgreSQL: PREPARE).

To plan one that writes three rows takes PostgreSQL longer than to run it, and to compile it SQLAlchemy, too.
"""

from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg

from bookings_api.extensions import db

Model = TypeVar("Model")

# Of SQLAlchemy's dialects the one that writes what PREPARE takes, `$1::UUID`. Its driver is not needed for that.
_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]

_KNOWN = "bookings_api.prepared"


class Prepared:
    """A statement of SQLAlchemy Core; each of its bind parameters has a type."""

    _names: ClassVar[set[str]] = set()

    def __init__(self, name: str, statement: sa.ClauseElement) -> None:
        """`name` is its own within the service. Raises `ValueError` for one that another statement has."""
        if name in self._names:
            raise ValueError(f"there is a statement {name} already")
        self._names.add(name)
        compiled: Any = statement.compile(dialect=_DIALECT)
        self._name = name
        self._constants = {key: value for key, value in compiled.params.items() if value is not None}
        writers = compiled._bind_processors  # noqa: SLF001 - how types write their values, enums for example
        self._parameters = [(key, writers.get(key, _as_it_is)) for key in compiled.positiontup or ()]
        self._prepare = f"PREPARE {name} AS {compiled.string}".replace("%", "%%")
        marks = ", ".join(["%s"] * len(self._parameters))
        self._execute = f"EXECUTE {name} ({marks})" if marks else f"EXECUTE {name}"

    def __call__(self, **values: Any) -> sa.CursorResult[Any]:
        """Run it on the session's connection; columns come as psycopg2 reads them, enums as text."""
        connection = db.session.connection()
        known = connection.info.setdefault(_KNOWN, set())
        if self._name not in known:
            connection.exec_driver_sql(self._prepare)
            known.add(self._name)
        given = self._constants | values
        return connection.exec_driver_sql(self._execute, tuple(write(given[key]) for key, write in self._parameters))

    def one_or_none(self, model: type[Model], **values: Any) -> Model | None:
        """Run a statement that selects all columns of `model`; the row as an object that no session knows."""
        row = self(**values).one_or_none()
        if row is None:
            return None
        columns = zip(sa.inspect(model).local_table.c, row, strict=True)
        return model(**{column.key: _read(column.type, value) for column, value in columns})


def _read(column_type: sa.types.TypeEngine[Any], value: Any) -> Any:
    return column_type.python_type(value) if isinstance(column_type, sa.Enum) else value


def _as_it_is(value: Any) -> Any:
    return value
