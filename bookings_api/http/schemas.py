"""Base of all schemas: unknown fields are refused, and a schema knows neither the database nor the user."""

from typing import Any

import marshmallow as ma

from bookings_api.http.fields import QueryInteger

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
MAX_PAGE = 10_000


class BaseSchema(ma.Schema):
    """Fields in the order of their declaration; an unknown one is an error that names it."""

    class Meta:
        unknown = ma.RAISE

    @classmethod
    def example(cls, **changes: Any) -> dict[str, Any]:
        """An example for the OpenAPI document: of each field that has one in its metadata; `changes` replace some."""
        fields = cls().fields.items()
        shown = {field.data_key or name: field.metadata for name, field in fields}
        return {name: metadata["example"] for name, metadata in shown.items() if "example" in metadata} | changes


class ResponseSchema(BaseSchema):
    """What we answer with; the document does not forbid members that a later version adds.

    Members are handed on as they are: `http.json` writes UUIDs, times and choices as these fields would, all at once.
    So they are plain ones, not nested and without ways of their own to be written.
    """

    class Meta:
        unknown = ma.EXCLUDE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._members = [(field.data_key or name, field.attribute or name) for name, field in self.dump_fields.items()]

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """The members of `obj`, a row or a dictionary."""
        if self.many if many is None else many:
            return [self.dump(row, many=False) for row in obj]
        if isinstance(obj, dict):
            return {name: obj[attribute] for name, attribute in self._members}
        return {name: getattr(obj, attribute) for name, attribute in self._members}


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
