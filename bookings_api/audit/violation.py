"""The type of the violations that `flask audit` reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """A violation of a rule. `row_id` is the ID of the row if the violation concerns a single row.

    `prevents_row_checks` is true if a table or column is missing, because no rows can be checked then.
    """

    rule: str
    message: str
    row_id: str | None = None
    prevents_row_checks: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"
