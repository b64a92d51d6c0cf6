"""`/organizations`: the organizations that the caller is a member of."""

from typing import Any
from uuid import UUID

from bookings_api.database.listing import Listing
from bookings_api.errors import OrganizationNotFound, PermissionDenied
from bookings_api.http.authentication import current_actor
from bookings_api.http.blueprint import Blueprint
from bookings_api.http.conditional import if_match
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.models import MemberRole, OwnOrganization
from bookings_api.organizations import queries, services
from bookings_api.organizations.schemas import OrganizationChangeSchema, OrganizationSchema

blp = Blueprint(
    "organizations", __name__, url_prefix="/organizations", description="View and rename your organizations"
)


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listOrganizations")
@blp.login_required()
@blp.listing(PageQuerySchema, OrganizationSchema)
def list_organizations() -> Listing:
    """List your organizations.

    Returns the organizations that you are a member of, oldest first, with your role in each. Booking tickets does not
    make you a member.
    """
    return queries.organizations_of(current_actor)


@blp.route("/<uuid:organization_id>", methods=["GET"])
@blp.doc(operationId="getOrganization")
@blp.login_required()
@blp.if_none_match()
@blp.problems(OrganizationNotFound)
@blp.response(200, OrganizationSchema)
def get_organization(organization_id: UUID) -> OwnOrganization:
    """Get one of your organizations.

    Returns the organization's name and your role.
    """
    return queries.get_organization(current_actor, organization_id)


@blp.route("/<uuid:organization_id>", methods=["PATCH"])
@blp.doc(operationId="changeOrganization")
@blp.login_required()
@blp.if_match()
@blp.problems(OrganizationNotFound, PermissionDenied)
@blp.arguments(OrganizationChangeSchema)
@blp.response(
    200,
    OrganizationSchema,
    example=OrganizationSchema.example(name="Berlin Concerts", role=MemberRole.OWNER.value, version=2),
)
def change_organization(changes: dict[str, Any], organization_id: UUID) -> OwnOrganization:
    """Rename an organization.

    Only the organization's owners can rename it.
    """
    return services.change_organization(
        actor=current_actor, organization_id=organization_id, changes=changes, precondition=if_match()
    )
