"""The `Idempotency-Key` header, and the hash that identifies a repeated request."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import flask
import marshmallow as ma
from werkzeug.exceptions import TooManyRequests

from bookings_api.errors import DomainError
from bookings_api.http.json import json_response
from bookings_api.idempotency import IdempotentRequest, find_response

View = TypeVar("View", bound=Callable[..., Any])

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
REPLAYED = {
    REPLAYED_HEADER: {
        "description": "`true` if an earlier request with this idempotency key or `external_id` created the resource.",
        "schema": {"const": "true"},
    }
}


class IdempotencyKeySchema(ma.Schema):
    """The `Idempotency-Key` header, which makes it safe to retry a request."""

    class Meta:
        unknown = ma.EXCLUDE

    key = ma.fields.String(
        data_key=IDEMPOTENCY_KEY_HEADER,
        validate=[ma.validate.Length(1, 255), ma.validate.Regexp(r"^[\x21-\x7e]*$", error="Must be visible ASCII.")],
        metadata={
            "description": "A unique value of your choice, such as a UUID. If the original request succeeded, a retry"
            " with the same key and body returns the original response. Using the same key for a different request is"
            " an error. Keys expire after 24 hours.",
        },
    )


def request_hash(arguments: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 hash of a request's parsed arguments. The order of the arguments does not matter."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).digest()


def with_replays(
    view: View,
    *,
    response_to: Callable[[Any], dict[str, Any]],
    replay: Callable[[dict[str, Any]], tuple[HTTPStatus, dict[str, str]]],
    actor_id: Callable[..., UUID | None],
    may_replay: Callable[..., bool],
) -> View:
    """Wrap `view` so that a repeated request gets the stored response. See `Blueprint.idempotent`.

    If the client sends no idempotency key, `view` gets `request=None`.
    """

    @wraps(view)
    def replaying(*args: Any, **kwargs: Any) -> Any:
        *bodies, header = args
        if "key" not in header:
            return view(*bodies, **kwargs, request=None)
        # Without passwords, because the fast hash would make them guessable. `may_replay` verifies passwords.
        fields = [{name: value for name, value in body.items() if name != "password"} for body in bodies]
        hashed = request_hash({"path": flask.request.path, "body": fields})
        request = IdempotentRequest(header["key"], lambda: hashed, response_to)

        def stored() -> flask.Response | None:
            whose = actor_id(*bodies)
            found = find_response(whose, request.key) if whose else None
            if found is None:
                return None
            body = request.replay(found).response
            if not may_replay(*bodies):
                return None
            status, headers = replay(body)
            return json_response(body, status, headers | {REPLAYED_HEADER: "true"})

        response = stored()
        if response is not None:
            return response
        try:
            return view(*bodies, **kwargs, request=request)
        except (DomainError, TooManyRequests):  # a concurrent copy of this request may have succeeded
            response = stored()
            if response is None:
                raise
            return response

    return replaying  # type: ignore[return-value] # wraps() keeps the signature
