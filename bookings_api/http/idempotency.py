"""The `Idempotency-Key` header, and the hash that identifies a repeated request."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import marshmallow as ma

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
REPLAYED = {
    REPLAYED_HEADER: {
        "description": "`true` if this is the stored response to an earlier request with the same idempotency key.",
        "schema": {"const": "true"},
    }
}


class IdempotencyKeySchema(ma.Schema):
    """The header that makes it safe to retry a request."""

    class Meta:
        unknown = ma.EXCLUDE

    key = ma.fields.String(
        data_key=IDEMPOTENCY_KEY_HEADER,
        validate=[ma.validate.Length(1, 255), ma.validate.Regexp(r"^[\x21-\x7e]*$", error="Must be visible ASCII.")],
        metadata={
            "description": "A unique value of your choice, such as a UUID. A retry with the same key and body returns"
            " the original response. The same key with a different body is an error. Keys expire after 24 hours.",
        },
    )


def request_hash(arguments: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 hash of a request's arguments. Whitespace and key order in the JSON do not affect it."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).digest()
