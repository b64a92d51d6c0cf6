"""Checks of data invariants, used by `flask audit`, the tests and the benchmarks.

    rules        invariants across rows and tables that PostgreSQL constraints cannot express
    constraints  the constraints of the models, checked against all rows
    schema       presence and validity of tables, columns, constraints, indexes, triggers and migrations
    repair       repairs that need no human decision

Services write related rows in one transaction, so the invariants hold in every snapshot, even while the service runs.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta

import sqlalchemy as sa

from bookings_api.audit import constraints, rules, schema
from bookings_api.audit.violation import Violation

__all__ = ["Violation", "notes", "violations"]

notes = rules.notes

_BATCH_SIZE = 1000


def violations(
    connection: sa.Connection, *, emails_since: timedelta, only: Collection[str] = ()
) -> Iterator[Violation]:
    """Yield the violations of all rules, or only of the rules named in `only`.

    `connection` must read a single snapshot. Missing emails are reported only for bookings and changes
    newer than `emails_since`, because older emails may have been deleted. If a table or column is missing, only the
    schema is checked.
    """
    found = list(schema.violations(connection))
    yield from (violation for violation in found if not only or violation.rule in only)
    if any(violation.prevents_row_checks for violation in found):
        return
    connection = connection.execution_options(yield_per=_BATCH_SIZE)  # a server-side cursor, to bound memory use
    parameters = rules.parameters(emails_since)
    across_rows: list[constraints.Rule] = [(name, sa.text(query)) for name, query in rules.RULES.items()]
    for name, query in (*across_rows, *constraints.rules()):
        if not only or name in only:
            for row_id, message in connection.execute(query, parameters):
                yield Violation(name, message, row_id)
