"""JSON responses, serialized by orjson because it is much faster than Python's json."""

from typing import Any

import flask
import orjson
from flask.json.provider import DefaultJSONProvider

JSON = "application/json"


class OrjsonProvider(DefaultJSONProvider):
    """Flask's JSON provider for responses. Request bodies are parsed by `http.parser`."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        try:
            layout = orjson.OPT_INDENT_2 if kwargs.get("indent") else 0
            return orjson.dumps(obj, default=self.default, option=layout).decode()
        except orjson.JSONEncodeError:  # an error message quotes a field name that contains a lone surrogate
            return super().dumps(obj, **kwargs)


def json_body(data: Any) -> bytes:
    """Serialize data dumped by a schema, in the same format as marshmallow's fields."""
    return orjson.dumps(data)


def json_response(data: Any, status: int, headers: dict[str, str]) -> flask.Response:
    """Return a JSON response with data dumped by a schema."""
    return flask.Response(json_body(data), status, headers, mimetype=JSON)
