"""That what the rules rely on is there and in force: a restore, or somebody in a hurry, may have left it out.

By name, which every constraint and index has; what they say is asked of the rows (`constraints`).
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
# those of a foreign key have names that say nothing
_TRIGGERS_OF = sa.text("""
    SELECT coalesce(conname, tgname), bool_and(tgenabled IN ('O', 'A'))
    FROM pg_trigger LEFT JOIN pg_constraint ON pg_constraint.oid = tgconstraint
    WHERE tgrelid = to_regclass(:table) GROUP BY 1
""")


def violations(connection: sa.Connection) -> Iterator[Violation]:
    """What is missing or not in force; without a table or a column, that nothing can be said of the data."""
    if not _exists(connection, "alembic_version"):
        yield Violation(RULE, "the database was never migrated; nothing else was looked at", hides_data=True)
        return
    for revision in sorted(missing_revisions(connection)):
        yield Violation(RULE, f"the migration {revision} is missing")
    for table in Base.metadata.sorted_tables:
        if _exists(connection, table.name):
            yield from _of_table(connection, table)
        else:
            yield Violation(RULE, f"the table {table.name} is missing; no row was looked at", hides_data=True)


def _exists(connection: sa.Connection, name: str) -> bool:
    return connection.scalar(sa.text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}) is True


def _of_table(connection: sa.Connection, table: sa.Table) -> Iterator[Violation]:
    def look(question: sa.TextClause) -> dict[str, bool]:
        """Names, and whether what is called so is in force."""
        rows = connection.execute(question, {"table": table.name})
        return {row[0]: row[1] for row in rows}

    columns = look(_COLUMNS)
    for column in table.columns:
        if column.name not in columns:
            yield Violation(RULE, f"{table.name}.{column.name} is missing; no row was looked at", hides_data=True)
        elif not column.nullable and not columns[column.name]:
            yield Violation(RULE, f"{table.name}.{column.name} may be NULL")
    for kind, wanted, found, weakness in (
        ("constraint", {str(constraint.name) for constraint in table.constraints}, look(_CONSTRAINTS), "not validated"),
        ("index", {str(index.name) for index in table.indexes}, look(_INDEXES), "not valid"),
        ("trigger", _TRIGGERS.get(table.name, set()), look(_TRIGGERS_OF), "disabled"),
    ):
        for name in sorted(wanted - found.keys()):
            yield Violation(RULE, f"the {kind} {name} of {table.name} is missing")
        for name in sorted(found):
            if not found[name]:
                yield Violation(RULE, f"the {kind} {name} of {table.name} is {weakness}")
