"""Reads request bodies: the right content type, and JSON with one meaning only (RFC 8259)."""

import json
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

import flask
import marshmallow as ma
import webargs.core
import webargs.flaskparser
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, UnsupportedMediaType

# More than any operation reads; each name costs work, and each unknown one a line of the answer.
MAX_NAMES = 100

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class StrictParser(webargs.flaskparser.FlaskParser):
    """webargs, less lenient: what two readers could understand differently is refused.

    Raises `BadRequest` for malformed JSON, duplicate names, NaN and absurd nesting or digits, and
    `UnsupportedMediaType` for a body that is not what the operation reads.
    """

    # The schemas themselves refuse unknown fields, in the query string too.
    DEFAULT_UNKNOWN_BY_LOCATION = {**webargs.flaskparser.FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:
        body = _read(req)
        if not body and not req.mimetype:
            if not any(field.required for field in schema.fields.values()):  # else each of them is named
                raise ma.ValidationError("A JSON object is needed.")
            return webargs.core.missing
        if not webargs.flaskparser.is_json_request(req):
            raise UnsupportedMediaType("This operation reads application/json.")
        if req.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
            raise UnsupportedMediaType("JSON is UTF-8.")  # RFC 8259, section 8.1
        try:
            return json.loads(body.decode(), object_pairs_hook=_unique_names, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise BadRequest(f"The body is not valid JSON: {error.msg} at character {error.pos}.") from None
        except UnicodeDecodeError:
            raise BadRequest("The body is not valid UTF-8.") from None
        except RecursionError:
            raise BadRequest("The body is nested too deeply.") from None
        except ValueError:
            raise BadRequest("The body holds a number with too many digits.") from None

    def load_form(self, req: flask.Request, schema: ma.Schema) -> Any:
        if req.mimetype not in FORM_TYPES:
            raise UnsupportedMediaType("This operation reads application/x-www-form-urlencoded.")
        _require_utf_8(_read(req))
        _refuse_repeated(req.form)
        return super().load_form(req, schema)

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        _require_utf_8(req.query_string)
        _refuse_repeated(req.args)
        return super().load_querystring(req, schema)


def _read(req: flask.Request) -> bytes:
    if req.content_encoding:
        raise UnsupportedMediaType("Send the body without Content-Encoding.")  # RFC 9110, section 8.4
    try:
        body = req.get_data(cache=True)
        # of a body in chunks Werkzeug reads as much as is allowed, and leaves the rest
        is_cut = req.content_length is None and len(body) == req.max_content_length
        too_large = is_cut and bool(req.environ["wsgi.input"].read(1))
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - malformed chunks: each WSGI server has errors of its own for them
        raise BadRequest("The body could not be read.") from None
    if too_large:
        raise RequestEntityTooLarge
    return body


def _refuse_repeated(values: MultiDict[str, str]) -> None:
    """No operation takes a list here, and of two values each reader would take another one."""
    if len(values) > MAX_NAMES:
        raise BadRequest(f"There are more than {MAX_NAMES} parameters.")
    repeated = {name: ["Given more than once."] for name, given in values.lists() if len(given) > 1}
    if repeated:
        raise ma.ValidationError(repeated)


def _require_utf_8(encoded: bytes) -> None:
    """Werkzeug would keep the percent signs of what is not, and two different values would be the same."""
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise BadRequest("The parameters are not valid UTF-8.") from None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_NAMES:
        raise BadRequest(f"The body has an object with more than {MAX_NAMES} names.")
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"The body names {twice!a} twice.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(f"The body holds {name}, which is not JSON.")
