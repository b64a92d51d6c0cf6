"""Lists of rows with optional filters.

Building a SQLAlchemy statement takes longer than reading a page with it, so the statement for each combination of
filters and order is built once, with parameters instead of values.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

# Limits the number of statements and the work of each.
MAX_WORDS = 5
_WORDS = [f"word_{number}" for number in range(MAX_WORDS)]


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


def folded(text: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """The text in lower case and without accents."""
    return sa.func.fold_text(text, type_=sa.Text)


def words_in(text: sa.ColumnElement[str]) -> dict[str, sa.ColumnElement[bool]]:
    """Filters for the words of `search`, each of which must occur in the folded `text`.

    One condition per word, because PostgreSQL uses no index for LIKE ALL.
    """
    return {name: text.contains(_literally(folded(sa.bindparam(name, type_=sa.Text)))) for name in _WORDS}


def search(q: str | None) -> dict[str, str]:
    """The words of `q` by the names of their filters: the longest ones, if there are too many."""
    words = sorted(dict.fromkeys((q or "").split()), key=len, reverse=True)
    return dict(zip(_WORDS, words, strict=False))


def _literally(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Escape the special characters of LIKE patterns. Some appear only when a text is folded, such as % for \uff05."""
    return sa.func.regexp_replace(text, r"([\\%_])", r"\\\1", "g", type_=sa.Text)
