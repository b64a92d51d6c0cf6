"""Lists of rows with optional filters.

Building a SQLAlchemy statement takes longer than reading a page with it, so the statement for each combination of
filters and order is built once, with parameters instead of values.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

# Limits the number of different statements, and the work that each causes.
MAX_WORDS = 5
_WORDS = [f"word_{number}" for number in range(MAX_WORDS)]
# Ignored at both ends of a word, for addresses copied from emails, such as `Hopper, Grace <grace@example.com>;`
_PUNCTUATION = ",;<>"


class Order:
    """A sort order. Its keys are unique in combination, and all of them are ascending or all descending.

    `name` distinguishes the orders of a list.
    """

    def __init__(self, *keys: Any, name: str = "", is_descending: bool = False) -> None:
        self.name, self.keys, self._is_descending = name, keys, is_descending
        self.parameters = [sa.bindparam(f"after_{number}", type_=key.type) for number, key in enumerate(keys)]

    def clauses(self) -> list[sa.ColumnElement[Any]]:
        """Return the ORDER BY clauses."""
        return [key.desc() if self._is_descending else key for key in self.keys]

    def is_after(self) -> sa.ColumnElement[bool]:
        """Return the condition for rows that follow the position given by the parameters."""
        row, position = sa.tuple_(*self.keys), sa.tuple_(*self.parameters)
        return row < position if self._is_descending else row > position


class Listing(NamedTuple):
    """A list. `statement` selects all its rows in `order`; `values` are the values of its parameters.

    `settings` are sent with the statement that reads a page, see `Prepared`.
    """

    statement: sa.Select[Any]
    values: dict[str, Any]
    order: Order
    is_filtered: bool
    settings: str = ""

    def with_values(self) -> sa.Select[Any]:
        """Return the statement with its parameters bound to the values."""
        return self.statement.params(self.values)


class ListQuery:
    """A query for a list. Builds a statement for each combination of filters and order that is used.

    `rows` selects one model. `filters` maps the names of parameters to conditions. A single order needs no name.
    """

    def __init__(
        self,
        rows: sa.Select[Any],
        *,
        filters: Mapping[str, sa.ColumnElement[bool]],
        orders: Sequence[Order],
        settings: str = "",
    ) -> None:
        self._rows, self._filters, self._settings = rows, filters, settings
        self._orders = {order.name: order for order in orders}
        self._statement = cache(self._build)

    def __call__(self, sort: str = "", /, **values: Any) -> Listing:
        """Return the list filtered by these values. Filters whose value is missing or None do not apply."""
        names = frozenset(name for name in self._filters if values.get(name) is not None)
        order = self._orders[sort]
        statement = self._statement(order, names)
        return Listing(statement, values, order, is_filtered=bool(names), settings=self._settings)

    def _build(self, order: Order, names: frozenset[str]) -> sa.Select[Any]:
        conditions = [condition for name, condition in self._filters.items() if name in names]
        return self._rows.where(*conditions).order_by(*order.clauses())


def is_one_of(column: sa.SQLColumnExpression[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether the column is one of the IDs in the parameter `name`, which `array_of` writes."""
    ids = sa.cast(sa.bindparam(name, type_=sa.Text), sa.ARRAY(sa.Uuid))
    return column.in_(sa.select(sa.func.unnest(ids, type_=sa.Uuid)))


def array_of(ids: Iterable[UUID]) -> str:
    """Return an array of IDs as PostgreSQL writes it."""
    return f"{{{','.join(map(str, ids))}}}"


def folded(text: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return the text in lower case and without accents."""
    return sa.func.fold_text(text, type_=sa.Text)


def words_in(text: sa.ColumnElement[str]) -> dict[str, sa.ColumnElement[bool]]:
    """Return filters for the words of `search`, each of which must occur in the folded `text`.

    Each word has a separate condition, because PostgreSQL uses no index for LIKE ALL.
    """
    return {name: text.contains(_literally(folded(sa.bindparam(name, type_=sa.Text)))) for name in _WORDS}


def search(q: str | None) -> dict[str, str]:
    """Map the names of the filters to the words of `q`. Uses only the `MAX_WORDS` longest words."""
    stripped = (word.strip(_PUNCTUATION) or word for word in (q or "").split())
    words = sorted(dict.fromkeys(stripped), key=len, reverse=True)
    return dict(zip(_WORDS, words, strict=False))


def _literally(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Escape the special characters of LIKE patterns, in SQL because folding can create them, such as % from \uff05."""
    return sa.func.regexp_replace(text, r"([\\%_])", r"\\\1", "g", type_=sa.Text)
