"""The `Idempotency-Key` header."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import marshmallow as ma

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
REPLAYED = {
    REPLAYED_HEADER: {
        "description": "`true` on the stored answer to a request that was done before.",
        "schema": {"const": "true"},
    }
}


class IdempotencyKeySchema(ma.Schema):
    """The header by which a request may be sent again without being done again."""

    class Meta:
        unknown = ma.EXCLUDE

    key = ma.fields.String(
        data_key=IDEMPOTENCY_KEY_HEADER,
        validate=[ma.validate.Length(1, 255), ma.validate.Regexp(r"^[\x21-\x7e]*$", error="Must be visible ASCII.")],
        metadata={
            "description": "Chosen by the client, a UUID for example: sent again with the same body, the first answer"
            " is given again; with another body it is refused. Kept for 24 hours.",
        },
    )


def request_hash(arguments: Mapping[str, Any]) -> bytes:
    """SHA-256 of what a request asks, however its JSON was spaced and ordered."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).digest()
