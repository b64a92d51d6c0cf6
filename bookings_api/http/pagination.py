"""Lists: a query becomes one page of it, and the `X-Pagination` and `Link` headers say where that stands."""

from typing import Any
from urllib.parse import quote, urlencode

import flask
import sqlalchemy as sa
from flask_smorest.pagination import PaginationMetadataSchema, PaginationParameters
from sqlalchemy.orm import Session

from bookings_api.database.replica import read_listing
from bookings_api.http.schemas import MAX_PAGE

# A proxy has but so much room for all headers of an answer: nginx 4 KiB, unless it is told otherwise.
MAX_LINK_LENGTH = 2048

# X-Pagination holds JSON as text, which OpenAPI says with `content` rather than `schema`.
PAGINATION = {
    "X-Pagination": {
        "description": "Where this page stands in the whole list.",
        "content": {
            "application/json": {
                "schema": PaginationMetadataSchema,
                "example": {"total": 1, "total_pages": 1, "first_page": 1, "last_page": 1, "page": 1},
            }
        },
    },
    "Link": {
        "description": (
            "Web links (RFC 8288) `first`, `prev`, `next` and `last` to the other pages, with the same filters,"
            " relative to this address. Left out are those that lead nowhere, and all of a query that is very long."
        ),
        "schema": {"type": "string"},
        "example": '</api/v1/events/?q=trio&page=2&page_size=20>; rel="next"',
    },
}


def fetch_page(query: sa.Select[Any], page: PaginationParameters) -> list[Any]:
    """The rows of one page; sets `page.item_count` to how many there are in all.

    `query` must have a total order, or pages would overlap.
    """
    counted = query.with_only_columns(sa.func.count(), maintain_column_froms=True).order_by(None)

    def read(session: Session) -> tuple[int, list[Any]]:
        count = session.execute(counted).scalar_one()
        return count, list(session.scalars(query.limit(page.page_size).offset(page.first_item)))

    page.item_count, rows = read_listing(read)
    return rows


def page_links(page: PaginationParameters) -> dict[str, str]:
    """The `Link` header of a page that was fetched: as GitHub's API, `first` and `prev` unless it is the first one,
    `next` and `last` unless it is the last; none to a page that would be refused.

    The addresses are paths, as those of redirects: no Host that a client may name, and no proxy, has a part in them.
    """
    last = max(1, -(-page.item_count // page.page_size))
    pages: dict[str, int] = {}
    if page.page > 1:
        pages |= {"first": 1, "prev": min(page.page - 1, last)}
    if page.page < last:
        pages |= {"next": page.page + 1, "last": last}
    links = ", ".join(f'<{_address_of(n, page)}>; rel="{rel}"' for rel, n in pages.items() if n <= MAX_PAGE)
    return {"Link": links} if 0 < len(links) <= MAX_LINK_LENGTH else {}


def _address_of(number: int, page: PaginationParameters) -> str:
    """The address of this list, percent-encoded (RFC 3986), so that nothing of a query ends the link or the header."""
    request = flask.request
    query = {**request.args, "page": str(number), "page_size": str(page.page_size)}
    return f"{quote(request.root_path + request.path)}?{urlencode(query, quote_via=quote, safe='')}"
