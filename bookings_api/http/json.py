"""Answers as JSON, written by orjson: in a fraction of the time, and UTF-8 as it is."""

from typing import Any

import orjson
from flask.json.provider import DefaultJSONProvider


class OrjsonProvider(DefaultJSONProvider):
    """Flask's way to JSON; reading a body is the parser's, which sees names that are given twice."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        try:
            layout = orjson.OPT_INDENT_2 if kwargs.get("indent") else 0
            return orjson.dumps(obj, default=self.default, option=layout).decode()
        except orjson.JSONEncodeError:  # half a surrogate pair, in the name of a field that a client sent
            return super().dumps(obj, **kwargs)
