"""The same request sent twice is done once: a key of the client's, kept in the booking's own transaction.

After draft-ietf-httpapi-idempotency-key-header: the same key and request gives the stored answer, another request
under the key is refused, and so is one while the first is still being worked on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bookings_api.errors import IdempotencyKeyReused, RequestInFlight
from bookings_api.extensions import db
from bookings_api.models import Booking, IdempotencyKey, User
from bookings_api.transactions import require_transaction


@dataclass(frozen=True)
class Once:
    """A request to be done once: its key, the SHA-256 of what it asks, and how its answer is made."""

    key: str
    request_hash: bytes
    answer_of: Callable[[Booking], Mapping[str, Any]]


def recall(user: User, once: Once) -> dict[str, Any] | None:
    """What was answered to this request before; None if it is new.

    Holds the key until the transaction ends. Raises `RequestInFlight` while another one does, and
    `IdempotencyKeyReused` for another request under the key.
    """
    require_transaction()
    held = sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(f"{user.id} {once.key}", 0))
    if not db.session.scalars(sa.select(held)).one():
        raise RequestInFlight
    kept = db.session.get(IdempotencyKey, (user.id, once.key))
    if kept is None:
        return None
    if kept.request_hash != once.request_hash:
        raise IdempotencyKeyReused
    return kept.answer


def is_kept(user: User, key: str) -> bool:
    """Whether the answer to a request under this key is kept: whatever comes under it now is not done."""
    kept = sa.select(IdempotencyKey.key).where(IdempotencyKey.user_id == user.id, IdempotencyKey.key == key)
    return db.session.scalars(kept).one_or_none() is not None


def remember(user: User, once: Once, booking: Booking) -> dict[str, Any]:
    """Keep the answer with the booking: either both are committed or neither; returns the answer."""
    require_transaction()
    answer = dict(once.answer_of(booking))
    db.session.add(IdempotencyKey(user_id=user.id, key=once.key, request_hash=once.request_hash, answer=answer))
    return answer
