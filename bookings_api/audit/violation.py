"""Rules as SQL queries, and the violations they find."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa

from bookings_api.models.booking import REFERENCE_ALPHABET, REFERENCE_LENGTH

BATCH_SIZE = 1000
# The clocks of the machines that create bookings and delete emails may differ.
CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Violation:
    """A violation of a rule. `row_id` identifies the row to repair.

    `prevents_row_checks` is set if a table or column is missing, so the rows cannot be checked.
    """

    rule: str
    message: str
    row_id: str | None = None
    prevents_row_checks: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


@dataclass(frozen=True)
class Rule:
    """A query that returns the ID of each row that violates the rule, and a message."""

    name: str
    statement: str | sa.Select[*tuple[Any, ...]]

    def violations(self, connection: sa.Connection, emails_since: timedelta) -> Iterator[Violation]:
        """Yield the violations, using a server-side cursor so that few are in memory at a time."""
        statement, values = self.statement, {}
        if isinstance(statement, str):
            parameters = {
                "emails_since": emails_since - CLOCK_SKEW,
                "zones": sorted(available_timezones()),
                "reference": f"^[{REFERENCE_ALPHABET}]{{{REFERENCE_LENGTH}}}$",
            }
            values = {name: value for name, value in parameters.items() if f":{name}" in statement}
        query = sa.text(statement) if isinstance(statement, str) else statement
        rows = connection.execution_options(yield_per=BATCH_SIZE).execute(query, values)
        for row_id, message in rows:
            yield Violation(self.name, message, row_id)
