"""The same request sent twice is done once: a key of the client's, kept in the booking's own transaction.

After draft-ietf-httpapi-idempotency-key-header: the same key and request gives the stored answer, another request
under the key is refused, and so is one while the first is still being worked on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bookings_api.database.prepared import Prepared
from bookings_api.errors import IdempotencyKeyReused
from bookings_api.models import Booking, IdempotencyKey, User


@dataclass(frozen=True)
class Once:
    """A request to be done once: its key, the SHA-256 of what it asks, and how its answer is made."""

    key: str
    request_hash: bytes
    answer_of: Callable[[Booking], dict[str, Any]]

    def kept_with(self, booking: Booking) -> IdempotencyKey:
        """The row that keeps the answer, to be written with the booking: either both or neither."""
        answer = self.answer_of(booking)
        return IdempotencyKey.of_row(
            user_id=booking.user_id, key=self.key, request_hash=self.request_hash, response=answer
        )

    def recalled(self, stored: IdempotencyKey) -> dict[str, Any]:
        """What was answered before. Raises `IdempotencyKeyReused` for another request under the key."""
        if bytes(stored.request_hash) != self.request_hash:
            raise IdempotencyKeyReused
        return stored.response


def is_kept(user: User, key: str) -> bool:
    """Whether the answer to a request under this key is kept: whatever comes under it now is not done."""
    return bool(_KEPT(user_id=user.id, key=key))


_KEPT = Prepared(
    "idempotency_key",
    sa.select(IdempotencyKey.key).where(
        IdempotencyKey.user_id == sa.bindparam("user_id", type_=sa.Uuid()),
        IdempotencyKey.key == sa.bindparam("key", type_=sa.Text()),
    ),
)
