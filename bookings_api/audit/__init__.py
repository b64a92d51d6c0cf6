"""What must hold of the data, whatever happened to it: `flask audit`, and what tests and benchmarks look at in the end.

    rules        across rows and tables, where no constraint of PostgreSQL's can see
    constraints  what constraints hold, asked of the rows: a constraint can be dropped, or switched off for a restore
    schema       that constraints, indexes, triggers and migrations are there, and are in force
    repair       what can be put right without knowing what happened

Services keep each rule by writing what belongs together in one transaction. So one snapshot of a running service
breaks none, and a rule that a snapshot does break is broken.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta
from itertools import chain

import sqlalchemy as sa

from bookings_api.audit import constraints, rules, schema
from bookings_api.audit.violation import Violation

__all__ = ["Violation", "notes", "violations"]

notes = rules.notes


def violations(connection: sa.Connection, *, mails_since: timedelta, only: Collection[str] = ()) -> Iterator[Violation]:
    """Everything that must not be, a rule at a time; with `only`, of these rules.

    Give it a transaction that sees one snapshot. Mails are expected of what happened within `mails_since`: older ones
    may have been deleted. Without a table or a column of ours the schema is all that is looked at.
    """
    found = list(schema.violations(connection))
    yield from (violation for violation in found if not only or violation.rule in only)
    if any(violation.hides_data for violation in found):
        return
    for rule in chain(rules.RULES, constraints.rules()):
        if not only or rule.name in only:
            yield from rule.violations(connection, mails_since)
