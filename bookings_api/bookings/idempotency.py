"""Idempotent requests (draft-ietf-httpapi-idempotency-key-header).

The response is stored in the booking's transaction. The same request gets it again, and a different request with the
same key is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bookings_api.database.prepared import BoundStatement, Prepared, insert_into
from bookings_api.errors import IdempotencyKeyReused
from bookings_api.models import Booking, IdempotencyKey, User


@dataclass(frozen=True)
class IdempotentRequest:
    """A request with an `Idempotency-Key`. Its hash and response are computed when they are needed."""

    key: str
    hash: Callable[[], bytes]
    response_to: Callable[[Booking], dict[str, Any]]

    def replay(self, stored: IdempotencyKey) -> IdempotencyKey:
        """The stored response. Raises `IdempotencyKeyReused` if it belongs to a different request."""
        if bytes(stored.request_hash) != self.hash():
            raise IdempotencyKeyReused
        return stored

    def record(self, booking: Booking) -> BoundStatement:
        """Store the response, in the transaction that writes the booking."""
        return _STORE.with_values(
            user_id=booking.user_id, key=self.key, request_hash=self.hash(), response=self.response_to(booking)
        )


def is_stored(user: User, key: str) -> bool:
    """Whether the response to a request with this key is stored."""
    return bool(_STORED(user_id=user.id, key=key))


_STORE = insert_into(IdempotencyKey, "user_id", "key", "request_hash", "response")
_STORED = Prepared(
    "idempotency_key",
    sa.select(IdempotencyKey.key).where(
        IdempotencyKey.user_id == sa.bindparam("user_id", type_=sa.Uuid()),
        IdempotencyKey.key == sa.bindparam("key", type_=sa.Text()),
    ),
)
