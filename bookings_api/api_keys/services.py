"""Services that create, change, rotate and revoke API keys.

Only the hash of a secret is stored. Responses that are stored for idempotency keys do not contain the secret either, so
a repeated request returns the key without its secret. A client that lost the first response must rotate the key.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.api_keys.queries import are_events_of, lock_key
from bookings_api.database.changes import apply_changes
from bookings_api.database.clock import database_time
from bookings_api.database.transactions import Precondition, no_precondition, transaction
from bookings_api.errors import InvalidFields
from bookings_api.extensions import db
from bookings_api.idempotency import IdempotentRequest, store_response
from bookings_api.models import ApiKey, Scope
from bookings_api.models.api_key import HINT_LENGTH, hash_secret, new_secret
from bookings_api.permissions import Action, Actor, is_owner, organization_for

audit_logger = logging.getLogger("bookings_api.audit")


def create_key(
    *,
    actor: Actor,
    organization_id: UUID,
    name: str,
    scopes: Sequence[Scope],
    event_ids: Sequence[UUID] | None = None,
    expires_at: datetime | None = None,
    request: IdempotentRequest | None = None,
) -> ApiKey:
    """Create a key and return it with its secret. The actor becomes the organizer of events created with the key.

    A key created by an owner can act on all of the organization's events. A key created by another organizer can act
    only on events that this organizer organizes. `event_ids` restricts the key further.

    Raises `InvalidFields`, `IdempotencyKeyReused` and the errors of `organization_for`.
    """
    organization_id = organization_for(actor, Action.MANAGE_KEYS, organization_id)
    secret = new_secret()
    fields = {"scopes": scopes, "event_ids": event_ids, "expires_at": expires_at}
    with transaction():
        _require_valid(actor, organization_id, fields)
        key = ApiKey(
            organization_id=organization_id,
            created_by_id=actor.responsible_id,
            own_events_only=not is_owner(actor, organization_id),
            name=name,
            hint=secret[:HINT_LENGTH],
            secret_hash=hash_secret(secret),
            **fields,
        )
        db.session.add(key)
        store_response(request, actor.id, key)
        db.session.flush()
    key.secret = secret
    _log(actor, key, "created")
    return key


def change_key(
    *,
    actor: Actor,
    organization_id: UUID,
    key_id: UUID,
    changes: dict[str, Any],
    precondition: Precondition = no_precondition,
) -> ApiKey:
    """Change a key's name, scopes, events or expiry time. Raises `InvalidFields` and the errors of `lock_key`."""
    with transaction():
        key = lock_key(actor, organization_id, key_id)
        precondition(key)
        _require_valid(actor, organization_id, changes)
        changed = apply_changes(key, changes)
    if changed:
        _log(actor, key, f"changed {', '.join(sorted(changed))}")
    return key


def rotate_key(
    *,
    actor: Actor,
    organization_id: UUID,
    key_id: UUID,
    overlap: timedelta,
    precondition: Precondition = no_precondition,
    request: IdempotentRequest | None = None,
) -> ApiKey:
    """Replace a key's secret, and return the key with its new secret.

    The previous secret keeps working for `overlap`. Any older secret stops working immediately. Raises
    `IdempotencyKeyReused` and the errors of `lock_key`.
    """
    secret = new_secret()
    with transaction():
        key = lock_key(actor, organization_id, key_id)
        precondition(key)
        key.previous_hash = key.secret_hash
        key.previous_expires_at = database_time() + overlap
        key.secret_hash, key.hint = hash_secret(secret), secret[:HINT_LENGTH]
        key.version += 1
        store_response(request, actor.id, key)
        db.session.flush()
    key.secret = secret
    _log(actor, key, "rotated")
    return key


def revoke_key(
    *, actor: Actor, organization_id: UUID, key_id: UUID, precondition: Precondition = no_precondition
) -> None:
    """Revoke a key, but keep the bookings and events created with it. Raises the errors of `lock_key`."""
    with transaction():
        key = lock_key(actor, organization_id, key_id)
        precondition(key)
        key.revoked_at = sa.func.now()
        key.version += 1
    _log(actor, key, "revoked")


def _require_valid(actor: Actor, organization_id: UUID, fields: dict[str, Any]) -> None:
    problems = {}
    event_ids, expires_at = fields.get("event_ids"), fields.get("expires_at")
    if event_ids is not None and not are_events_of(actor, organization_id, event_ids):
        problems["event_ids"] = "Must be IDs of events of the organization."
    if expires_at is not None and expires_at <= database_time():
        problems["expires_at"] = "Must be in the future."
    if problems:
        raise InvalidFields(problems)


def _log(actor: Actor, key: ApiKey, what: str) -> None:
    audit_logger.info(
        "API key %s %s by %s", key.id, what, actor.id, extra={"api_key_id": str(key.id), "actor_id": str(actor.id)}
    )
