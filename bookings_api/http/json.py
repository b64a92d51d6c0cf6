"""JSON responses, serialized by orjson, which is much faster than Python's json."""

import json
from typing import TYPE_CHECKING, Any

import flask
import orjson
from flask.json.provider import DefaultJSONProvider
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON = "application/json"


class OrjsonProvider(DefaultJSONProvider):
    """Flask's JSON provider for responses. Request bodies are parsed by `http.parser`."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        try:
            layout = orjson.OPT_INDENT_2 if kwargs.get("indent") else 0
            return orjson.dumps(obj, default=self.default, option=layout).decode()
        except orjson.JSONEncodeError:  # for example because a test sends a lone surrogate
            return super().dumps(obj, **kwargs)


def json_body(data: Any) -> bytes:
    """Serialize data dumped by a schema, in the same format as marshmallow's fields."""
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:  # the data contains a lone surrogate, for example a field name in an error message
        return json.dumps(data).encode()


class JsonResponse(flask.Response):
    """A response with a body. Its `Location`, if any, must be an ASCII path."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Return the headers unchanged. werkzeug's method copies and corrects headers, which is slow and not needed."""
        return self.headers


def json_response(data: Any, status: int, headers: dict[str, str], *, content_type: str = JSON) -> flask.Response:
    """Return a JSON response with data dumped by a schema."""
    return JsonResponse(json_body(data), status, headers, content_type=content_type)
