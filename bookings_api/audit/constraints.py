"""The constraints of the models as questions to the rows.

A constraint that PostgreSQL has may not have been in force when a row was written: foreign keys are triggers, which a
restore with `--disable-triggers` switches off, and an index can be corrupt.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from bookings_api.audit.violation import Rule
from bookings_api.models import Base


def rules() -> Iterator[Rule]:
    """One rule for each constraint and unique index, called as it is; and one for the NOT NULLs of each table."""
    for table in Base.metadata.sorted_tables:
        required = [column.is_(None) for column in table.c if not column.nullable]
        yield _rule(f"nn_{table.name}", table, sa.or_(*required), "lacks what it must have")
        for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
            name = str(constraint.name)
            if isinstance(constraint, sa.CheckConstraint):
                yield _rule(
                    name, table, sa.not_(sa.type_coerce(constraint.sqltext, sa.Boolean).self_group()), "breaks it"
                )
            elif isinstance(constraint, sa.ForeignKeyConstraint):
                yield from _foreign_keys(name, table, constraint)
            elif isinstance(constraint, sa.PrimaryKeyConstraint | sa.UniqueConstraint):
                yield _unique(name, table, list(constraint.columns))
        for index in table.indexes:
            if index.unique:
                yield _unique(str(index.name), table, list(index.expressions))


def _rule(name: str, table: sa.Table, is_broken: sa.ColumnElement[bool], how: str) -> Rule:
    key = _key_of(table)
    sentence = sa.func.concat("row ", key, f" of {table.name} {how}")
    return Rule(name, sa.select(key, sentence).where(is_broken))


def _foreign_keys(name: str, table: sa.Table, constraint: sa.ForeignKeyConstraint) -> Iterator[Rule]:
    for key in constraint.elements:
        target = key.column.table.alias("target")
        is_there = sa.exists().where(target.c[key.column.name] == key.parent)
        how = f"names a row of {key.column.table.name} that is not there"
        yield _rule(name, table, key.parent.is_not(None) & ~is_there, how)


def _unique(name: str, table: sa.Table, columns: Sequence[Any]) -> Rule:
    # of an index on an expression SQLAlchemy has the text
    same = [sa.literal_column(str(column)) if isinstance(column, sa.TextClause) else column for column in columns]
    key = _key_of(table)
    count, first, last = sa.func.count(), sa.func.min(key), sa.func.max(key)
    sentence = sa.func.concat(count, f" rows of {table.name} are the same, for example ", first, " and ", last)
    is_known = [column.is_not(None) for column in same]
    return Rule(
        name, sa.select(sa.null(), sentence).select_from(table).where(*is_known).group_by(*same).having(count > 1)
    )


def _key_of(table: sa.Table) -> sa.ColumnElement[str]:
    return sa.func.concat_ws(" ", *table.primary_key.columns)
