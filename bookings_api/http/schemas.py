"""Base of all schemas: unknown fields are refused, and a schema knows neither the database nor the user."""

import marshmallow as ma

from bookings_api.http.fields import QueryInteger

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
MAX_PAGE = 10_000


class BaseSchema(ma.Schema):
    """Fields in the order of their declaration; an unknown one is an error that names it."""

    class Meta:
        unknown = ma.RAISE


class ResponseSchema(BaseSchema):
    """What we answer with; the document does not forbid members that a later version adds."""

    class Meta:
        unknown = ma.EXCLUDE


class PageQuerySchema(BaseSchema):
    """Which part of a list; the base of every list's filters."""

    page = QueryInteger(
        minimum=1, maximum=MAX_PAGE, load_default=1, metadata={"description": "Number of the page, from 1."}
    )
    page_size = QueryInteger(
        minimum=1,
        maximum=MAX_PAGE_SIZE,
        load_default=DEFAULT_PAGE_SIZE,
        metadata={"description": "Items on a page."},
    )
