"""Lists of rows with optional filters.

Building a SQLAlchemy statement takes longer than reading a page with it, so each combination of filters and order is
built once, with parameters instead of values.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

LIKE_ESCAPE = "\\"


class Listing(NamedTuple):
    """A list: `statement` selects all its rows in a total order, with `values` as parameters."""

    statement: sa.Select[Any]
    values: dict[str, Any]
    is_filtered: bool

    def with_values(self) -> sa.Select[Any]:
        """The statement with values instead of parameters."""
        return self.statement.params(self.values)


class ListQuery:
    """Builds the statements of a list.

    `rows` selects one model, in a total order unless there are `orders`. `filters` are conditions by the name of their
    parameter.
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
        """The list with these parameters; filters whose value is None do not apply."""
        names = frozenset(name for name in self._filters if values.get(name) is not None)
        return Listing(self._statement(order, names), values, is_filtered=bool(names))

    def _build(self, order: Any, names: frozenset[str]) -> sa.Select[Any]:
        conditions = [condition for name, condition in self._filters.items() if name in names]
        return self._rows.where(*conditions).order_by(*self._orders[order])


def like_pattern(text: str | None) -> str | None:
    """A LIKE pattern that finds the text itself, including its % and _ characters."""
    if text is None:
        return None
    for special in (LIKE_ESCAPE, "%", "_"):
        text = text.replace(special, LIKE_ESCAPE + special)
    return f"%{text}%"
