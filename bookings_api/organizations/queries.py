"""Queries for organizations. All queries return only organizations that the actor is a member of."""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order
from bookings_api.errors import OrganizationNotFound
from bookings_api.extensions import db
from bookings_api.models import OwnOrganization
from bookings_api.permissions import Actor

_OWN = ListQuery(
    sa.select(OwnOrganization).where(OwnOrganization.user_id == sa.bindparam("user_id")),
    filters={},
    orders=[Order(OwnOrganization.id)],
)


def organizations_of(actor: Actor) -> Listing:
    """List the organizations that the actor is a member of, oldest first."""
    return _OWN(user_id=actor.id)


def get_organization(actor: Actor, organization_id: UUID) -> OwnOrganization:
    """Return an organization. Raises `OrganizationNotFound` unless the actor is a member."""
    own = db.session.get(OwnOrganization, (organization_id, actor.id), populate_existing=True)
    if own is None:
        raise OrganizationNotFound
    return own
