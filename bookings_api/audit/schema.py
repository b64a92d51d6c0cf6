"""Checks that tables, columns, constraints, indexes, triggers and migrations exist and are valid.

Constraints and indexes are compared by name only. `constraints` checks the rows against their definitions.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from bookings_api.audit.violation import Violation
from bookings_api.database.revisions import missing_revisions
from bookings_api.models import Base

RULE = "schema"

# They invalidate cached lists of events. SQLAlchemy's metadata does not contain triggers.
_TRIGGERS = {"events": {"event_catalog_changed", "event_catalog_emptied"}}

_COLUMNS = sa.text("SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0")
_CONSTRAINTS = sa.text("SELECT conname, convalidated FROM pg_constraint WHERE conrelid = to_regclass(:table)")
_INDEXES = sa.text("""
    SELECT relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = to_regclass(:table)
""")
# triggers of foreign keys are listed under the name of the constraint
_TRIGGERS_OF = sa.text("""
    SELECT coalesce(conname, tgname), bool_and(tgenabled IN ('O', 'A'))
    FROM pg_trigger LEFT JOIN pg_constraint ON pg_constraint.oid = tgconstraint
    WHERE tgrelid = to_regclass(:table) GROUP BY 1
""")


def violations(connection: sa.Connection) -> Iterator[Violation]:
    """Yield a violation for everything that is missing or not enforced."""
    if not _exists(connection, "alembic_version"):
        yield Violation(RULE, "the database was never migrated; nothing else was checked", prevents_row_checks=True)
        return
    for revision in sorted(missing_revisions(connection)):
        yield Violation(RULE, f"migration {revision} is missing")
    for table in Base.metadata.sorted_tables:
        if _exists(connection, table.name):
            yield from _of_table(connection, table)
        else:
            yield Violation(RULE, f"table {table.name} is missing; no rows were checked", prevents_row_checks=True)


def _exists(connection: sa.Connection, name: str) -> bool:
    return connection.scalar(sa.text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}) is True


def _of_table(connection: sa.Connection, table: sa.Table) -> Iterator[Violation]:
    def query(statement: sa.TextClause) -> dict[str, bool]:
        """Map the names of existing objects to whether they are enforced."""
        rows = connection.execute(statement, {"table": table.name})
        return {row[0]: row[1] for row in rows}

    columns = query(_COLUMNS)
    for column in table.columns:
        if column.name not in columns:
            yield Violation(
                RULE, f"column {table.name}.{column.name} is missing; no rows were checked", prevents_row_checks=True
            )
        elif not column.nullable and not columns[column.name]:
            yield Violation(RULE, f"column {table.name}.{column.name} is nullable")
    for kind, expected, found, defect in (
        (
            "constraint",
            {str(constraint.name) for constraint in table.constraints},
            query(_CONSTRAINTS),
            "not validated",
        ),
        ("index", {str(index.name) for index in table.indexes}, query(_INDEXES), "not valid"),
        ("trigger", _TRIGGERS.get(table.name, set()), query(_TRIGGERS_OF), "disabled"),
    ):
        for name in sorted(expected - found.keys()):
            yield Violation(RULE, f"{kind} {name} of {table.name} is missing")
        for name in sorted(found):
            if not found[name]:
                yield Violation(RULE, f"{kind} {name} of {table.name} is {defect}")
