"""Reads request bodies: the right content type, and JSON with one meaning only (RFC 8259)."""

import json
from typing import Any, NoReturn

import flask
import marshmallow as ma
import webargs.core
import webargs.flaskparser
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

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
            return webargs.core.missing
        if not webargs.flaskparser.is_json_request(req):
            raise UnsupportedMediaType("This operation reads application/json.")
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
        return super().load_form(req, schema)


def _read(req: flask.Request) -> bytes:
    try:
        return req.get_data(cache=True)
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - malformed chunks: each WSGI server has errors of its own for them
        raise BadRequest("The body could not be read.") from None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"The body names {twice!a} twice.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(f"The body holds {name}, which is not JSON.")
