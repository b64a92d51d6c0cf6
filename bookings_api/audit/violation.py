"""The result of a check."""

from dataclasses import dataclass


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
