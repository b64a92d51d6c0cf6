"""Renames organizations."""

from typing import Any
from uuid import UUID

from bookings_api.database.changes import apply_changes
from bookings_api.database.transactions import Precondition, no_precondition, transaction
from bookings_api.errors import PermissionDenied
from bookings_api.extensions import db
from bookings_api.models import Organization, OwnOrganization
from bookings_api.organizations.queries import get_organization
from bookings_api.permissions import Action, Actor, may


def change_organization(
    *, actor: Actor, organization_id: UUID, changes: dict[str, Any], precondition: Precondition = no_precondition
) -> OwnOrganization:
    """Change the name of an organization.

    Raises `OrganizationNotFound` unless the actor is a member, and `PermissionDenied` unless the actor is an owner.
    """
    get_organization(actor, organization_id)
    if not may(actor, Action.MANAGE_ORGANIZATION, organization_id=organization_id):
        raise PermissionDenied("Only owners can do this.")
    with transaction():
        organization = db.session.get_one(Organization, organization_id, with_for_update=True, populate_existing=True)
        precondition(get_organization(actor, organization_id))
        apply_changes(organization, changes)
    return get_organization(actor, organization_id)
