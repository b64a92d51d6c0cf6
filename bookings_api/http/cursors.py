"""Reads the items of a list that follow a cursor.

A cursor contains the name of the sort order and the sort keys of the last item that the client has read. Unlike page
numbers, cursors neither skip nor repeat items when rows are added or deleted.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_smorest import abort

from bookings_api.database.listing import Listing, Order
from bookings_api.database.prepared import Prepared
from bookings_api.database.replica import read_listing
from bookings_api.http.pagination import list_url, selected_members
from bookings_api.http.schemas import ResponseSchema

# PostgreSQL's text cannot contain this character.
_SEPARATOR = "\0"

_numbers = count(1)


def fetch_after(
    listing: Listing, schema: ResponseSchema, cursor: str, page_size: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the items after the cursor, and a `Link` header if more items follow.

    If the cursor is empty, returns the first items. Aborts with 422 if the cursor is malformed or belongs to a
    different sort order.
    """
    try:
        position = _decode(cursor, listing.order) if cursor else {}
    except ValueError:
        abort(
            422,
            messages={"query": {"after": ["Must be a cursor from a `next` link of this list with the same `sort`."]}},
        )
    statement = _statement(
        listing.statement, schema, listing.order, is_first=not cursor, stays_on_server=not listing.is_filtered
    )
    rows = read_listing(statement, **listing.values, **position, limit=page_size + 1)
    items = [dict(zip(schema.members, row, strict=False)) for row in rows[:page_size]]
    if len(rows) <= page_size:
        return items, {}
    following = _encode(rows[page_size - 1][len(schema.members) :], listing.order)
    return items, {"Link": f'<{list_url(after=following, page_size=page_size)}>; rel="next"'}


@cache
def _statement(
    listed: sa.Select[Any], schema: ResponseSchema, order: Order, *, is_first: bool, stays_on_server: bool
) -> Prepared:
    """Return a statement that selects the members of `schema`, followed by the sort keys."""
    items = listed.with_only_columns(*selected_members(listed, schema), *order.keys)
    if not is_first:
        items = items.where(order.is_after())
    items = items.limit(sa.bindparam("limit", type_=sa.Integer))
    return Prepared(f"items_{next(_numbers)}", items, stays_on_server=stays_on_server)


def _encode(values: Sequence[Any], order: Order) -> str:
    texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
    return urlsafe_b64encode(_SEPARATOR.join([order.name, *texts]).encode()).decode().rstrip("=")


def _decode(cursor: str, order: Order) -> dict[str, Any]:
    """Return the parameters for `Order.is_after`. Raises `ValueError` if the cursor is invalid."""
    text = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    name, *values = text.split(_SEPARATOR)
    if name != order.name:
        raise ValueError("the cursor is for another order")
    parameters = zip(order.parameters, values, strict=True)
    return {parameter.key: _read(value, parameter.type) for parameter, value in parameters}


def _read(text: str, kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, sa.Uuid):
        return UUID(text)
    if isinstance(kind, sa.DateTime):
        moment = datetime.fromisoformat(text)
        if moment.utcoffset() != timedelta(0):  # PostgreSQL refuses offsets that Python accepts
            raise ValueError("the time is not in UTC")
        return moment
    return text
