"""The type of an audit's findings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """A violation of a rule, and the ID of the row if it can be repaired.

    `prevents_row_checks` is set if a table or column is missing, so that its rows cannot be checked.
    """

    rule: str
    message: str
    row_id: str | None = None
    prevents_row_checks: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"
