"""Idempotent requests (draft-ietf-httpapi-idempotency-key-header).

The response to a request is stored in the same transaction as the request's changes. A repeated request gets the stored
response. A different request with the same key is rejected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bookings_api.database.prepared import BoundStatement, Prepared, insert_into, run
from bookings_api.database.transactions import require_transaction
from bookings_api.database.violations import violated_unique_constraint
from bookings_api.errors import IdempotencyKeyReused
from bookings_api.extensions import db
from bookings_api.models import IdempotencyKey


@dataclass(frozen=True)
class IdempotentRequest:
    """A request with an `Idempotency-Key`.

    `hash` computes the SHA-256 hash of the request. `response_to` renders the response for the created resource.
    """

    key: str
    hash: Callable[[], bytes]
    response_to: Callable[[Any], dict[str, Any]]

    def replay(self, stored: IdempotencyKey) -> IdempotencyKey:
        """Return `stored` if it has this request's hash. Otherwise, raise `IdempotencyKeyReused`."""
        if bytes(stored.request_hash) != self.hash():
            raise IdempotencyKeyReused
        return stored

    def record(self, actor_id: UUID, created: Any) -> BoundStatement:
        """Return a statement that stores the response. Run it in the transaction that creates the resource."""
        response = self.response_to(created)
        return _STORE.with_values(actor_id=actor_id, key=self.key, request_hash=self.hash(), response=response)


def find_response(actor_id: UUID, key: str) -> IdempotencyKey | None:
    """Return the stored response to the actor's request with this key, or None."""
    return _STORED.one_or_none(IdempotencyKey, actor_id=actor_id, key=key)


def store_response(request: IdempotentRequest | None, actor_id: UUID, created: Any) -> None:
    """Store the response in the open transaction, unless `request` is None. Call this after all other writes.

    Waits until concurrent requests with the same key have ended. Raises `IdempotencyKeyReused` if the key is taken.
    """
    require_transaction()
    if request is None:
        return
    db.session.flush()
    try:
        run(request.record(actor_id, created))
    except IntegrityError as error:
        if is_key_taken(error):
            raise IdempotencyKeyReused from error
        raise


def is_key_taken(error: IntegrityError) -> bool:
    """Whether the error means that a concurrent request has stored a response with the same key."""
    return violated_unique_constraint(error) == "pk_idempotency_keys"


_STORE = insert_into(IdempotencyKey, "actor_id", "key", "request_hash", "response")
_STORED = Prepared(
    "idempotency_key",
    sa.select(IdempotencyKey.__table__).where(
        IdempotencyKey.actor_id == sa.bindparam("actor_id", type_=sa.Uuid()),
        IdempotencyKey.key == sa.bindparam("key", type_=sa.Text()),
    ),
)
