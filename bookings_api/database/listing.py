"""Lists of rows with optional filters.

Building a SQLAlchemy statement takes longer than executing it. The statement for each combination of filters and sort
order is therefore built only once. The values of the filters are parameters of the statement.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

# Limits the number of different statements and the cost of a search.
MAX_WORDS = 5
_WORDS = [f"word_{number}" for number in range(MAX_WORDS)]
# Removed from both ends of a word, so that text copied from an email matches: `Hopper, Grace <grace@example.com>;`
_PUNCTUATION = ",;<>"


class Order:
    """A sort order. The combination of its `keys` is unique. Either all keys are ascending, or all are descending.

    `name` is the value of the `sort` parameter that selects the order.
    """

    def __init__(self, *keys: Any, name: str = "", is_descending: bool = False) -> None:
        self.name, self.keys, self._is_descending = name, keys, is_descending
        self.parameters = [sa.bindparam(f"after_{number}", type_=key.type) for number, key in enumerate(keys)]

    def clauses(self) -> list[sa.ColumnElement[Any]]:
        """Return the ORDER BY clauses."""
        return [key.desc() if self._is_descending else key for key in self.keys]

    def is_after(self) -> sa.ColumnElement[bool]:
        """Return the condition for the rows that follow the row whose keys are given in `parameters`."""
        row, position = sa.tuple_(*self.keys), sa.tuple_(*self.parameters)
        return row < position if self._is_descending else row > position


class Listing(NamedTuple):
    """A list of rows with filters applied.

    `statement` selects all rows in `order`, and `values` are its parameters. `settings` are SET LOCAL statements for
    reading a page (see `Prepared`).
    """

    statement: sa.Select[Any]
    values: dict[str, Any]
    order: Order
    is_filtered: bool
    settings: str = ""

    def with_values(self) -> sa.Select[Any]:
        """Return the statement with `values` as its parameters."""
        return self.statement.params(self.values)


class ListQuery:
    """A query for a list with optional filters.

    `rows` selects one model. `filters` maps parameter names to conditions. If there is only one order, its name can be
    empty.
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
        """Return the list, sorted by the order named `sort`. Only filters with a value in `values` apply."""
        names = frozenset(name for name in self._filters if values.get(name) is not None)
        order = self._orders[sort]
        statement = self._statement(order, names)
        return Listing(statement, values, order, is_filtered=bool(names), settings=self._settings)

    def _build(self, order: Order, names: frozenset[str]) -> sa.Select[Any]:
        conditions = [condition for name, condition in self._filters.items() if name in names]
        return self._rows.where(*conditions).order_by(*order.clauses())


def is_one_of(column: sa.SQLColumnExpression[Any], name: str) -> sa.ColumnElement[bool]:
    """Return the condition that `column` is one of the IDs in the parameter `name`, an array created by `array_of`."""
    ids = sa.cast(sa.bindparam(name, type_=sa.Text), sa.ARRAY(sa.Uuid))
    return column.in_(sa.select(sa.func.unnest(ids, type_=sa.Uuid)))


def array_of(ids: Iterable[UUID]) -> str:
    """Return the IDs as a PostgreSQL array literal, such as `{ID,ID}`."""
    return f"{{{','.join(map(str, ids))}}}"


def folded(text: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return the text in lower case and without accents."""
    return sa.func.fold_text(text, type_=sa.Text)


def words_in(text: sa.ColumnElement[str]) -> dict[str, sa.ColumnElement[bool]]:
    """Return filters for rows whose `text` contains every word of a search. `text` must be a result of `folded`.

    Each word has a separate filter, because PostgreSQL cannot use an index for LIKE ALL.
    """
    return {name: text.contains(_literally(folded(sa.bindparam(name, type_=sa.Text)))) for name in _WORDS}


def search(q: str | None) -> dict[str, str]:
    """Return the values for the filters of `words_in`: the longest words in `q`, up to `MAX_WORDS` words."""
    stripped = (word.strip(_PUNCTUATION) or word for word in (q or "").split())
    words = sorted(dict.fromkeys(stripped), key=len, reverse=True)
    return dict(zip(_WORDS, words, strict=False))


def _literally(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Escape the special characters of LIKE patterns in SQL, because folding can create them (% from \uff05)."""
    return sa.func.regexp_replace(text, r"([\\%_])", r"\\\1", "g", type_=sa.Text)
