"""Pages of lists, and the headers `X-Pagination` and `Link`."""

import json
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

import flask
import sqlalchemy as sa
from flask_smorest.pagination import PaginationMetadataSchema, PaginationParameters

from bookings_api.database.listing import Listing
from bookings_api.database.prepared import Prepared
from bookings_api.database.replica import read_listing
from bookings_api.http.json import JSON
from bookings_api.http.schemas import MAX_PAGE, ResponseSchema

# Proxies limit the total size of a response's headers. nginx's default limit is 4 KiB.
MAX_LINK_LENGTH = 2048

# X-Pagination contains JSON, which OpenAPI describes with `content` instead of `schema`.
PAGINATION = {
    "X-Pagination": {
        "description": "The size of the list and the position of this page. Not sent with `after`.",
        "content": {
            JSON: {
                "schema": PaginationMetadataSchema,
                "example": {"total": 1, "total_pages": 1, "first_page": 1, "last_page": 1, "page": 1},
            }
        },
    },
    "Link": {
        "description": (
            "Relative links to the `first`, `prev`, `next` and `last` pages (RFC 8288) with the same filters. Pages"
            " that do not exist have no link. The header is omitted if the links would be very long."
            " With `after`, the only link is `next`, which is omitted at the end of the list."
        ),
        "schema": {"type": "string"},
        "example": '</api/v1/events/?q=trio&page=2&page_size=20>; rel="next"',
    },
}

_numbers = count(1)


def fetch_page(listing: Listing, schema: ResponseSchema, page: PaginationParameters) -> list[dict[str, Any]]:
    """Return the items of a page as dictionaries. Sets `page.item_count` to the length of the whole list."""
    statement = _page_statement(listing.statement, schema, listing.settings, stays_on_server=not listing.is_filtered)
    rows = counted = read_listing(statement, **listing.values, page_size=page.page_size, first_item=page.first_item)
    if not rows and page.first_item > 0:  # beyond the last page, no row contains the length
        counted = read_listing(statement, **listing.values, page_size=1, first_item=0)
    page.item_count = counted[0][-1] if counted else 0
    return [dict(zip(schema.members, row, strict=False)) for row in rows]


@cache
def _page_statement(
    listed: sa.Select[Any], schema: ResponseSchema, settings: str, *, stays_on_server: bool
) -> Prepared:
    """Return a statement that selects the members of `schema`, followed by the length of the whole list."""
    total = listed.with_only_columns(sa.func.count(), maintain_column_froms=True).order_by(None).correlate(None)
    page = (
        listed.with_only_columns(*selected_members(listed, schema), total.scalar_subquery())
        .limit(sa.bindparam("page_size", type_=sa.Integer))
        .offset(sa.bindparam("first_item", type_=sa.Integer))
    )
    return Prepared(f"page_{next(_numbers)}", page, settings, stays_on_server=stays_on_server)


def selected_members(listed: sa.Select[Any], schema: ResponseSchema) -> list[sa.ColumnElement[Any]]:
    """Return the columns that contain the members of `schema`."""
    model = listed.column_descriptions[0]["entity"]
    members = [getattr(model, attribute) for attribute in schema.members.values()]
    # as text, which is faster than creating UUID objects and formatting them for JSON
    return [sa.cast(member, sa.Text) if isinstance(member.type, sa.Uuid) else member for member in members]


def page_headers(page: PaginationParameters) -> dict[str, str]:
    """Return the `X-Pagination` and `Link` headers of a page that `fetch_page` has read.

    Links are relative, so that they do not depend on the client's `Host` header or on a proxy.
    """
    number, last = page.page, -(-page.item_count // page.page_size)
    position = {"total": page.item_count, "total_pages": last}
    if last:
        position |= {"first_page": 1, "last_page": last}
    if number <= last:
        position["page"] = number
    pages: dict[str, int] = {}
    if number > 1:
        pages |= {"first": 1, "prev": max(1, min(number - 1, last))}
        if number <= last:
            position["previous_page"] = number - 1
    if number < last:
        pages |= {"next": number + 1, "last": last}
        position["next_page"] = number + 1
    links = ", ".join(
        f'<{list_url(page=n, page_size=page.page_size)}>; rel="{rel}"' for rel, n in pages.items() if n <= MAX_PAGE
    )
    headers = {"X-Pagination": json.dumps(position)}
    return headers | ({"Link": links} if 0 < len(links) <= MAX_LINK_LENGTH else {})


def list_url(**changes: Any) -> str:
    """Return the request's relative URL with changed query parameters.

    The URL is percent-encoded (RFC 3986), so that no parameter can break the `Link` header.
    """
    request = flask.request
    query = {**request.args, **changes}
    return f"{quote(request.root_path + request.path)}?{urlencode(query, quote_via=quote, safe='')}"
