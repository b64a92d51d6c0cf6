"""JSON responses, serialized by orjson, which is much faster than Python's json."""

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
        except orjson.JSONEncodeError:  # a lone surrogate in a field name that a client has sent
            return super().dumps(obj, **kwargs)


def json_body(data: Any) -> bytes:
    """Serialize what a schema dumped. Values look as if the schema's fields had formatted them."""
    return orjson.dumps(data)


def json_response(data: Any, status: int, headers: dict[str, str]) -> flask.Response:
    """Return a JSON response. `data` is what a schema dumped."""
    return flask.Response(json_body(data), status, headers, mimetype=JSON)
