"""JSON responses, serialized by orjson because it is much faster than Python's json."""

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
        except orjson.JSONEncodeError:  # such as a lone surrogate, in a test's request
            return super().dumps(obj, **kwargs)


def json_body(data: Any) -> bytes:
    """Serialize data dumped by a schema, in the same format as marshmallow's fields."""
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:  # an error message quotes a field name that contains a lone surrogate
        return json.dumps(data).encode()


class JsonResponse(flask.Response):
    """A response with a body, and with an ASCII path as its Location, if it has one."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Return the headers as they are. werkzeug would copy them for corrections that they do not need."""
        return self.headers


def json_response(data: Any, status: int, headers: dict[str, str], *, content_type: str = JSON) -> flask.Response:
    """Return a JSON response with data dumped by a schema."""
    return JsonResponse(json_body(data), status, headers, content_type=content_type)
