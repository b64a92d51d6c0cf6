"""Checks that tables, columns, constraints, indexes and triggers exist and are valid, and that all migrations have run.

Only the names of constraints and indexes are compared. The module `constraints` checks the rows.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from bookings_api.audit.violation import Violation
from bookings_api.database.revisions import missing_revisions
from bookings_api.models import Base

RULE = "schema"

# The triggers that invalidate cached lists of events, by table. SQLAlchemy's metadata does not contain triggers.
_TRIGGERS = {"events": {"event_catalog_changed", "event_catalog_emptied"}}

# Lists a table's columns (and whether each is NOT NULL) and its constraints, indexes and triggers (and whether each is
# in effect). Triggers that enforce a foreign key are listed under the constraint's name.
_OBJECTS = sa.text("""
    SELECT 'column', attname, attnotnull FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0
    UNION ALL
    SELECT 'constraint', conname, convalidated FROM pg_constraint WHERE conrelid = to_regclass(:table)
    UNION ALL
    SELECT 'index', relname, indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid
    WHERE indrelid = to_regclass(:table)
    UNION ALL
    SELECT 'trigger', coalesce(conname, tgname), bool_and(tgenabled IN ('O', 'A'))
    FROM pg_trigger LEFT JOIN pg_constraint ON pg_constraint.oid = tgconstraint
    WHERE tgrelid = to_regclass(:table) GROUP BY 2
""")
_DEFECTS = {"constraint": "not validated", "index": "not valid", "trigger": "disabled"}


def violations(connection: sa.Connection) -> Iterator[Violation]:
    """Yield a violation for each missing migration, and for each missing, invalid or disabled object."""
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
    found = {(kind, name): enforced for kind, name, enforced in connection.execute(_OBJECTS, {"table": table.name})}
    for column in table.columns:
        label = f"column {table.name}.{column.name}"
        if ("column", column.name) not in found:
            yield Violation(RULE, f"{label} is missing; no rows were checked", prevents_row_checks=True)
        elif not column.nullable and not found["column", column.name]:
            yield Violation(RULE, f"{label} is nullable")
    expected = {("constraint", str(constraint.name)) for constraint in table.constraints}
    expected |= {("index", str(index.name)) for index in table.indexes}
    expected |= {("trigger", name) for name in _TRIGGERS.get(table.name, ())}
    for kind, name in sorted(expected - found.keys()):
        yield Violation(RULE, f"{kind} {name} of {table.name} is missing")
    for (kind, name), enforced in sorted(found.items()):
        if kind in _DEFECTS and not enforced:
            yield Violation(RULE, f"{kind} {name} of {table.name} is {_DEFECTS[kind]}")
