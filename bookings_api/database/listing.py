"""Lists of rows with optional filters.

Building a SQLAlchemy statement takes longer than reading a page with it, so the statement for each combination of
filters and order is built once, with parameters instead of values.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

LIKE_ESCAPE = "\\"


class Listing(NamedTuple):
    """A list. `statement` selects all its rows in a total order; `values` are the values of its parameters."""

    statement: sa.Select[Any]
    values: dict[str, Any]
    is_filtered: bool

    def with_values(self) -> sa.Select[Any]:
        """Return the statement with values instead of parameters."""
        return self.statement.params(self.values)


class ListQuery:
    """Builds the statements of a list.

    `rows` selects one model, in a total order unless `orders` are given. `filters` maps the names of parameters to
    conditions.
    """

    def __init__(
        self,
        rows: sa.Select[Any],
        *,
        filters: Mapping[str, sa.ColumnElement[bool]],
        orders: Mapping[Any, Sequence[Any]] | None = None,
    ) -> None:
        self._rows, self._filters, self._orders = rows, filters, orders or {None: ()}
        self._statement = cache(self._build)

    def __call__(self, order: Any = None, **values: Any) -> Listing:
        """Return the list with these values. Filters whose value is missing or None do not apply."""
        names = frozenset(name for name in self._filters if values.get(name) is not None)
        return Listing(self._statement(order, names), values, is_filtered=bool(names))

    def _build(self, order: Any, names: frozenset[str]) -> sa.Select[Any]:
        conditions = [condition for name, condition in self._filters.items() if name in names]
        return self._rows.where(*conditions).order_by(*self._orders[order])


def like_pattern(text: str | None) -> str | None:
    """Return a LIKE pattern for values that contain the text literally, including % and _, or None without text."""
    if text is None:
        return None
    for special in (LIKE_ESCAPE, "%", "_"):
        text = text.replace(special, LIKE_ESCAPE + special)
    return f"%{text}%"
