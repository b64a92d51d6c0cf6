"""`/organizations/{organization_id}/api-keys`: an organization's API keys."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.api_keys import queries, services
from bookings_api.api_keys.schemas import (
    ApiKeyChangeSchema,
    ApiKeyCreateSchema,
    ApiKeySchema,
    ApiKeyWithSecretSchema,
    RotationSchema,
)
from bookings_api.database.listing import Listing
from bookings_api.errors import ApiKeyNotFound, OrganizationNotFound, PermissionDenied
from bookings_api.http.authentication import current_actor
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import if_match
from bookings_api.http.idempotency import REPLAYED
from bookings_api.http.openapi.examples import CHANGED_AT, OTHER_API_KEY_SECRET
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import ApiKey
from bookings_api.models.api_key import HINT_LENGTH

blp = Blueprint("api-keys", __name__, url_prefix="/organizations", description="Manage your organization's API keys")


@blp.route("/<uuid:organization_id>/api-keys", methods=["GET"])
@blp.doc(operationId="listApiKeys")
@blp.login_required()
@blp.problems(PermissionDenied, OrganizationNotFound)
@blp.listing(PageQuerySchema, ApiKeySchema)
def list_api_keys(organization_id: UUID) -> Listing:
    """List an organization's API keys.

    Returns the oldest keys first. Includes expired keys, but not revoked keys. Only owners can list and manage API
    keys, unless `ORGANIZER_SIGNUP` is `open`. In that case, organizers can also list all keys and manage their own
    keys.
    """
    return queries.list_keys(current_actor, organization_id)


@blp.route("/<uuid:organization_id>/api-keys", methods=["POST"])
@blp.doc(operationId="createApiKey")
@blp.login_required()
@blp.problems(PermissionDenied, OrganizationNotFound)
@blp.arguments(ApiKeyCreateSchema)
@blp.idempotent(ApiKeyWithSecretSchema, replay=lambda key: (HTTPStatus.CREATED, _location(key["id"])))
@blp.response(201, ApiKeyWithSecretSchema, headers=LOCATION | REPLAYED)
def create_api_key(
    key: dict[str, Any], organization_id: UUID, request: IdempotentRequest | None
) -> tuple[ApiKey, dict[str, str]]:
    """Create an API key.

    The response contains the secret, which cannot be retrieved later. Programs send the secret like an access
    token: `Authorization: Bearer ebk_...`. If you later lose your rights in the organization, another owner takes over
    the key. The key is revoked instead if no other owner exists, or if you were not an owner when you created the key.
    """
    created = services.create_key(actor=current_actor, organization_id=organization_id, request=request, **key)
    return created, _location(created.id)


@blp.route("/<uuid:organization_id>/api-keys/<uuid:key_id>", methods=["GET"])
@blp.doc(operationId="getApiKey")
@blp.login_required()
@blp.if_none_match()
@blp.problems(PermissionDenied, OrganizationNotFound, ApiKeyNotFound)
@blp.response(200, ApiKeySchema)
def get_api_key(organization_id: UUID, key_id: UUID) -> ApiKey:
    """Get an API key.

    The response does not contain the secret.
    """
    return queries.get_key(current_actor, organization_id, key_id)


@blp.route("/<uuid:organization_id>/api-keys/<uuid:key_id>", methods=["PATCH"])
@blp.doc(operationId="changeApiKey")
@blp.login_required()
@blp.if_match()
@blp.problems(PermissionDenied, OrganizationNotFound, ApiKeyNotFound)
@blp.arguments(ApiKeyChangeSchema)
@blp.response(200, ApiKeySchema, example=ApiKeySchema.example(name="Box office", version=2))
def change_api_key(changes: dict[str, Any], organization_id: UUID, key_id: UUID) -> ApiKey:
    """Change an API key's name, scopes, events or expiry time.

    Omitted fields keep their values. The change takes effect immediately.
    """
    return services.change_key(
        actor=current_actor,
        organization_id=organization_id,
        key_id=key_id,
        changes=changes,
        precondition=if_match(),
    )


@blp.route("/<uuid:organization_id>/api-keys/<uuid:key_id>", methods=["DELETE"])
@blp.doc(operationId="revokeApiKey")
@blp.login_required()
@blp.if_match()
@blp.problems(PermissionDenied, OrganizationNotFound, ApiKeyNotFound)
@blp.response(204)
def revoke_api_key(organization_id: UUID, key_id: UUID) -> None:
    """Revoke an API key.

    The current and previous secrets stop working immediately. Bookings and events created with the key remain.
    """
    services.revoke_key(actor=current_actor, organization_id=organization_id, key_id=key_id, precondition=if_match())


@blp.route("/<uuid:organization_id>/api-keys/<uuid:key_id>/rotate", methods=["POST"])
@blp.doc(operationId="rotateApiKey")
@blp.login_required()
@blp.if_match()
@blp.problems(PermissionDenied, OrganizationNotFound, ApiKeyNotFound)
@blp.arguments(RotationSchema)
@blp.idempotent(ApiKeyWithSecretSchema, replay=lambda key: (HTTPStatus.OK, {}))
@blp.response(
    200,
    ApiKeyWithSecretSchema,
    headers=REPLAYED,
    example=ApiKeyWithSecretSchema.example(
        secret=OTHER_API_KEY_SECRET,
        hint=OTHER_API_KEY_SECRET[:HINT_LENGTH],
        previous_secret_expires_at=CHANGED_AT,
        version=2,
    ),
)
def rotate_api_key(
    rotation: dict[str, int], organization_id: UUID, key_id: UUID, request: IdempotentRequest | None
) -> ApiKey:
    """Replace an API key's secret.

    The response contains the new secret, which cannot be retrieved later. The previous secret keeps working for
    `overlap_minutes`. If you rotate the key again during this time, only the two latest secrets work.
    """
    return services.rotate_key(
        actor=current_actor,
        organization_id=organization_id,
        key_id=key_id,
        overlap=timedelta(minutes=rotation["overlap_minutes"]),
        precondition=if_match(),
        request=request,
    )


def _location(key_id: UUID | str) -> dict[str, str]:
    path = {"organization_id": (flask.request.view_args or {})["organization_id"], "key_id": key_id}
    return {"Location": flask.url_for("api-keys.get_api_key", **path)}
