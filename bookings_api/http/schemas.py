"""Base classes for schemas."""

from typing import Any

import marshmallow as ma

from bookings_api.http.fields import QueryInteger

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
MAX_PAGE = 10_000


class BaseSchema(ma.Schema):
    """Base of all schemas. Unknown fields are errors."""

    class Meta:
        unknown = ma.RAISE

    @classmethod
    def example(cls, **changes: Any) -> dict[str, Any]:
        """Return an example for the OpenAPI document: the examples of the fields, overridden by `changes`."""
        fields = {field.data_key or name: field.metadata for name, field in cls().fields.items()}
        return {name: metadata["example"] for name, metadata in fields.items() if "example" in metadata} | changes


class ResponseSchema(BaseSchema):
    """Base of response schemas. The OpenAPI document allows additional members, so that later versions can add members.

    For speed, `dump` only copies values, and `http.json` serializes them. Dumped fields must therefore not be nested or
    customize serialization.
    """

    class Meta:
        unknown = ma.EXCLUDE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # maps the names of members to attributes of rows
        self.members = {field.data_key or name: field.attribute or name for name, field in self.dump_fields.items()}

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return `obj` as a dictionary with the schema's members. If `many` is true, return a list for all items."""
        if self.many if many is None else many:
            return [self.dump(row, many=False) for row in obj]
        if isinstance(obj, dict):
            return {name: obj[attribute] for name, attribute in self.members.items()}
        return {name: getattr(obj, attribute) for name, attribute in self.members.items()}


class PageQuerySchema(BaseSchema):
    """Pagination parameters. Base of the query schemas of all lists."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages["unknown"] = f"Unknown parameter. Known parameters: {', '.join(self.fields)}."

    # without a documented default, which Swagger UI would always send
    page = QueryInteger(
        minimum=1, maximum=MAX_PAGE, metadata={"description": "The page number, starting at 1 (the default)."}
    )
    page_size = QueryInteger(
        minimum=1,
        maximum=MAX_PAGE_SIZE,
        load_default=DEFAULT_PAGE_SIZE,
        metadata={"description": "The number of items per page."},
    )
    after = ma.fields.String(
        validate=ma.validate.Regexp("^[A-Za-z0-9_-]*$", error="Must be a cursor from a `next` link."),
        metadata={
            "description": (
                "A cursor for reading the whole list without skipping or repeating items, even if the list changes."
                " Start with an empty value, then follow the `next` links. Cannot be combined with `page`."
            )
        },
    )

    @ma.validates_schema
    def _validate_position(self, data: dict[str, Any], **_: Any) -> None:
        if "page" in data and "after" in data:
            raise ma.ValidationError("Cannot be combined with after.", "page")
