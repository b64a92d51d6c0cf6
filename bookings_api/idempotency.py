"""Idempotent requests (draft-ietf-httpapi-idempotency-key-header).

One transaction writes the effect of a request and stores its response. Repeating the request returns the stored
response; a different request with the same key is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.database.prepared import BoundStatement, Prepared, insert_into, run
from bookings_api.database.transactions import require_transaction
from bookings_api.errors import IdempotencyKeyReused
from bookings_api.extensions import db
from bookings_api.models import IdempotencyKey


@dataclass(frozen=True)
class IdempotentRequest:
    """A request with an `Idempotency-Key`. Its hash and its response are computed only when needed."""

    key: str
    hash: Callable[[], bytes]
    response_to: Callable[[Any], dict[str, Any]]

    def replay(self, stored: IdempotencyKey) -> IdempotencyKey:
        """Return the stored response. Raises `IdempotencyKeyReused` if it belongs to a different request."""
        if bytes(stored.request_hash) != self.hash():
            raise IdempotencyKeyReused
        return stored

    def record(self, actor_id: UUID, created: Any) -> BoundStatement:
        """Return the statement that stores the response, for the transaction that creates the resource."""
        response = self.response_to(created)
        return _STORE.with_values(actor_id=actor_id, key=self.key, request_hash=self.hash(), response=response)


def find_response(actor_id: UUID, key: str) -> IdempotencyKey | None:
    """Return the stored response to the actor's request with this key."""
    return _STORED.one_or_none(IdempotencyKey, actor_id=actor_id, key=key)


def store_response(request: IdempotentRequest | None, actor_id: UUID, created: Any) -> None:
    """Store the response in the open transaction, as its last statement, unless the request has no key.

    Waits for a concurrent request with the same key. If that request succeeds, raises `IdempotencyKeyReused`, which
    rolls this transaction back.
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
    """Whether a concurrent request has stored a response with the same key."""
    return isinstance(error.orig, UniqueViolation) and error.orig.diag.constraint_name == "pk_idempotency_keys"


_STORE = insert_into(IdempotencyKey, "actor_id", "key", "request_hash", "response")
_STORED = Prepared(
    "idempotency_key",
    sa.select(IdempotencyKey.__table__).where(
        IdempotencyKey.actor_id == sa.bindparam("actor_id", type_=sa.Uuid()),
        IdempotencyKey.key == sa.bindparam("key", type_=sa.Text()),
    ),
)
