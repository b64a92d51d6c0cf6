"""Checks that all rows satisfy the constraints of the models.

PostgreSQL enforces the same constraints, but a restore with `--disable-triggers` skips foreign keys, and unique indexes
can be corrupt.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import Grouping

from bookings_api.models import Base

# The name of a constraint, and a query that returns the key of each row that violates the constraint, with a message.
Rule = tuple[str, sa.Executable]


def rules() -> Iterator[Rule]:
    """Yield a rule for each constraint and each unique index, and one for the NOT NULL columns of each table."""
    for table in Base.metadata.sorted_tables:
        required = [column.is_(None) for column in table.c if not column.nullable]
        yield _rule(f"nn_{table.name}", table, sa.or_(*required), "has NULL in a required column")
        for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
            name = str(constraint.name)
            if isinstance(constraint, sa.CheckConstraint):
                # explicit, because `self_group` adds no parentheses to text
                holds: sa.ColumnElement[bool] = Grouping(sa.type_coerce(constraint.sqltext, sa.Boolean))
                yield _rule(name, table, sa.not_(holds), "violates it")
            elif isinstance(constraint, sa.ForeignKeyConstraint):
                yield from _foreign_keys(name, table, constraint)
            elif isinstance(constraint, sa.PrimaryKeyConstraint | sa.UniqueConstraint):
                yield _unique(name, table, list(constraint.columns))
        for index in table.indexes:
            if index.unique:
                yield _unique(
                    str(index.name), table, list(index.expressions), only=index.dialect_kwargs["postgresql_where"]
                )


def _rule(name: str, table: sa.Table, is_violated: sa.ColumnElement[bool], problem: str) -> Rule:
    key = _key_of(table)
    message = sa.func.concat("row ", key, f" of {table.name} {problem}")
    return name, sa.select(key, message).where(is_violated)


def _foreign_keys(name: str, table: sa.Table, constraint: sa.ForeignKeyConstraint) -> Iterator[Rule]:
    for key in constraint.elements:
        target = key.column.table.alias("target")
        exists = sa.exists().where(target.c[key.column.name] == key.parent)
        problem = f"refers to a missing row of {key.column.table.name}"
        yield _rule(name, table, key.parent.is_not(None) & ~exists, problem)


def _unique(name: str, table: sa.Table, columns: Sequence[Any], *, only: Any = None) -> Rule:
    """Return the rule for unique columns. `only` is the condition of a partial index."""
    # SQLAlchemy represents index expressions as text
    keys = [sa.literal_column(str(column)) if isinstance(column, sa.TextClause) else column for column in columns]
    key = _key_of(table)
    count, first, last = sa.func.count(), sa.func.min(key), sa.func.max(key)
    message = sa.func.concat(count, f" rows of {table.name} are duplicates, for example ", first, " and ", last)
    is_known = [column.is_not(None) for column in keys]
    duplicates = sa.select(sa.null(), message).select_from(table).where(*is_known, *([] if only is None else [only]))
    return name, duplicates.group_by(*keys).having(count > 1)


def _key_of(table: sa.Table) -> sa.ColumnElement[str]:
    return sa.func.concat_ws(" ", *table.primary_key.columns)
