"""A rule as a question to PostgreSQL, and a row that breaks it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa

from bookings_api.models.booking import REFERENCE_ALPHABET, REFERENCE_LENGTH

AT_ONCE = 1000
# A booking is made by the clock of one machine, its mail deleted by that of another.
CLOCKS = timedelta(hours=1)


@dataclass(frozen=True)
class Violation:
    """What is wrong, with the ids of the rows; `row_id` is that of the row that a repair would be of, as text.

    `hides_data`: without what is missing nothing can be said of the rows.
    """

    rule: str
    sentence: str
    row_id: str | None = None
    hides_data: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.sentence}"


@dataclass(frozen=True)
class Rule:
    """A statement that gives, of each row that breaks the rule, its id and a sentence that says how."""

    name: str
    statement: str | sa.Select[*tuple[Any, ...]]

    def violations(self, connection: sa.Connection, mails_since: timedelta) -> Iterator[Violation]:
        """Read by a cursor of the server's: however many there are, few are in memory."""
        statement, values = self.statement, {}
        if isinstance(statement, str):
            known = {
                "mails_since": mails_since - CLOCKS,
                "zones": sorted(available_timezones()),
                "reference": f"^[{REFERENCE_ALPHABET}]{{{REFERENCE_LENGTH}}}$",
            }
            values = {name: value for name, value in known.items() if f":{name}" in statement}
        question = sa.text(statement) if isinstance(statement, str) else statement
        rows = connection.execution_options(yield_per=AT_ONCE).execute(question, values)
        for row_id, sentence in rows:
            yield Violation(self.name, sentence, row_id)
