"""Parses request bodies and query strings, and rejects ambiguous input."""

import json
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

import flask
import marshmallow as ma
import webargs.core
import webargs.flaskparser
from flask.globals import request_ctx
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, UnsupportedMediaType

# The maximum number of parameters, and of members in a JSON object. This limits the work per request and the size of
# error responses.
MAX_NAMES = 100

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class StrictParser(webargs.flaskparser.FlaskParser):
    """webargs' parser, restricted to input that all JSON and form parsers read in the same way.

    Raises `BadRequest` for malformed or ambiguous input, such as duplicate names in JSON, NaN and invalid UTF-8. Raises
    `UnsupportedMediaType` for a body with the wrong media type, and `RequestEntityTooLarge` for a body over the limit.
    """

    # Unknown query parameters are errors, like unknown fields in a body.
    DEFAULT_UNKNOWN_BY_LOCATION = {**webargs.flaskparser.FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def load(self, schema: ma.Schema, location: str) -> Any:
        """Parse and validate `location` of the current request. Faster than webargs' more general `parse`."""
        request = request_ctx.request  # faster than the proxy `flask.request`
        try:
            data = self._load_location_data(schema=schema, req=request, location=location)
            unknown: Any = self.DEFAULT_UNKNOWN_BY_LOCATION.get(location)
            return schema.load({} if data is webargs.core.missing else data, unknown=unknown)
        except ma.ValidationError as error:
            error.messages = {location: error.messages}
            self.handle_error(error, request, schema, error_status_code=None, error_headers=None)

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:
        body = _read_body(req)
        if not body and not req.mimetype:
            if not any(field.required for field in schema.fields.values()):  # otherwise, the schema reports the fields
                raise ma.ValidationError("A JSON object is required.")
            return webargs.core.missing
        if not webargs.flaskparser.is_json_request(req):
            raise UnsupportedMediaType("Send the body as application/json.")
        if req.mimetype_params.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType("Send JSON as UTF-8.")  # RFC 8259, section 8.1
        try:
            text = body.decode("utf-8-sig")  # RFC 8259, section 8.1, allows ignoring a byte order mark
            return json.loads(text, object_pairs_hook=_unique_names, parse_constant=_reject_constant)
        except json.JSONDecodeError as error:
            raise BadRequest(f"The body is not valid JSON: {error.msg} at character {error.pos}.") from None
        except UnicodeDecodeError:
            raise BadRequest("The body is not valid UTF-8.") from None
        except RecursionError:
            raise BadRequest("The body is nested too deeply.") from None
        except ValueError:
            raise BadRequest("The body contains a number with too many digits.") from None

    def load_form(self, req: flask.Request, schema: ma.Schema) -> Any:
        if req.mimetype not in FORM_TYPES:
            raise UnsupportedMediaType("Send the body as application/x-www-form-urlencoded.")
        _require_utf_8(_read_body(req))
        _reject_repeated(req.form)
        return super().load_form(req, schema)

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        _require_utf_8(req.query_string)
        _reject_repeated(req.args)
        return super().load_querystring(req, schema)


def _read_body(req: flask.Request) -> bytes:
    if req.content_encoding:
        raise UnsupportedMediaType("Send the body without Content-Encoding.")  # RFC 9110, section 8.4
    try:
        body = req.get_data(cache=True)
        # werkzeug silently truncates a chunked body at the limit, so check whether any data is left
        is_truncated = req.content_length is None and len(body) == req.max_content_length
        too_large = is_truncated and bool(req.environ["wsgi.input"].read(1))
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - each WSGI server raises different errors for malformed chunks
        raise BadRequest("The body could not be read.") from None
    if too_large:
        raise RequestEntityTooLarge
    return body


def _reject_repeated(values: MultiDict[str, str]) -> None:
    """Reject repeated parameters. No operation accepts a list, and parsers disagree about which value to use."""
    if len(values) > MAX_NAMES:
        raise BadRequest(f"The request has more than {MAX_NAMES} parameters.")
    repeated = {name: ["Must not be given more than once."] for name, items in values.lists() if len(items) > 1}
    if repeated:
        raise ma.ValidationError(repeated)


def _require_utf_8(encoded: bytes) -> None:
    """Reject invalid UTF-8. werkzeug leaves invalid bytes percent-encoded, so different inputs could look the same."""
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise BadRequest("The parameters are not valid UTF-8.") from None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise BadRequest(f"The body contains an object with more than {MAX_NAMES} members.")
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"The body contains the name {duplicate!a} more than once in the same object.")
    return members


def _reject_constant(name: str) -> NoReturn:
    raise BadRequest(f"The body contains {name}, which is not valid JSON.")
