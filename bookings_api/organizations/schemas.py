"""Schemas for organizations."""

import marshmallow as ma

from bookings_api.http.fields import Name
from bookings_api.http.openapi.examples import ORGANIZATION_ID, SIGNED_UP_AT
from bookings_api.http.schemas import BaseSchema, ResponseSchema
from bookings_api.models import MemberRole


class OrganizationSchema(ResponseSchema):
    """An organization that you are a member of."""

    id = ma.fields.UUID(
        required=True, metadata={"description": "The ID of the organization.", "example": ORGANIZATION_ID}
    )
    name = ma.fields.String(
        required=True, metadata={"description": "The name of the organization.", "example": "Default organization"}
    )
    role = ma.fields.Enum(
        MemberRole,
        by_value=ma.fields.String,
        required=True,
        metadata={
            "description": (
                "Your role. Owners manage the whole organization. Organizers manage their own events and the"
                " organization's people. Users can only book tickets."
            ),
            "example": MemberRole.ORGANIZER.value,
        },
    )
    version = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The version number, which increases when the organization or your membership changes.",
            "example": 1,
        },
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the organization was created.", "example": SIGNED_UP_AT}
    )


class OrganizationChangeSchema(BaseSchema):
    """The fields to change. Omitted fields keep their values."""

    name = Name(metadata={"description": "The name of the organization.", "example": "Berlin Concerts"})
