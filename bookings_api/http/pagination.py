"""Lists: a query becomes one page of it and the `X-Pagination` header."""

from typing import Any

import sqlalchemy as sa
from flask_smorest.pagination import PaginationParameters

from bookings_api.extensions import db


def fetch_page(query: sa.Select[Any], page: PaginationParameters) -> list[Any]:
    """The rows of one page; sets `page.item_count` to how many there are in all.

    `query` must have a total order, or pages would overlap.
    """
    counted = query.with_only_columns(sa.func.count(), maintain_column_froms=True).order_by(None)
    page.item_count = db.session.execute(counted).scalar_one()
    return list(db.session.scalars(query.limit(page.page_size).offset(page.first_item)))
