"""Queries for an organization's API keys. Each query checks that the actor may manage API keys."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order
from bookings_api.database.transactions import require_transaction
from bookings_api.errors import ApiKeyNotFound
from bookings_api.extensions import db
from bookings_api.models import ApiKey, Event
from bookings_api.permissions import Action, Actor, organization_for, require_own_key

_KEYS = ListQuery(
    sa.select(ApiKey).where(ApiKey.organization_id == sa.bindparam("organization_id"), ApiKey.revoked_at.is_(None)),
    filters={},
    orders=[Order(ApiKey.id)],
)


def list_keys(actor: Actor, organization_id: UUID) -> Listing:
    """Return the organization's keys that are not revoked, oldest first. Raises the errors of `organization_for`."""
    return _KEYS(organization_id=organization_for(actor, Action.MANAGE_KEYS, organization_id))


def get_key(actor: Actor, organization_id: UUID, key_id: UUID) -> ApiKey:
    """Return a key that is not revoked. Raises `ApiKeyNotFound` and the errors of `organization_for`."""
    return _one(_key(actor, organization_id, key_id))


def lock_key(actor: Actor, organization_id: UUID, key_id: UUID) -> ApiKey:
    """Lock a key and return it. Raises the errors of `get_key` and `require_own_key`.

    Bookings made with the key do not wait for this lock, because they only refer to the key's ID.
    """
    require_transaction()
    key = _one(_key(actor, organization_id, key_id).with_for_update(key_share=True))
    require_own_key(actor, key)
    return key


def are_events_of(actor: Actor, organization_id: UUID, event_ids: Collection[UUID]) -> bool:
    """Whether all of these events belong to the organization. Includes deleted events.

    Raises the errors of `organization_for`.
    """
    organization_id = organization_for(actor, Action.MANAGE_KEYS, organization_id)
    found = sa.select(sa.func.count()).where(Event.organization_id == organization_id, Event.id.in_(event_ids))
    return db.session.scalar(found) == len(set(event_ids))


def _key(actor: Actor, organization_id: UUID, key_id: UUID) -> sa.Select[ApiKey]:
    organization_id = organization_for(actor, Action.MANAGE_KEYS, organization_id)
    return sa.select(ApiKey).where(
        ApiKey.id == key_id, ApiKey.organization_id == organization_id, ApiKey.revoked_at.is_(None)
    )


def _one(query: sa.Select[ApiKey]) -> ApiKey:
    key = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if key is None:
        raise ApiKeyNotFound
    return key
