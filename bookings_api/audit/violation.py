"""The type of audit findings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """A violation of a rule. `row_id` is the ID of the row if the violation concerns a single row.

    `prevents_row_checks` is set if a table or column is missing, so that no rows can be checked.
    """

    rule: str
    message: str
    row_id: str | None = None
    prevents_row_checks: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"
