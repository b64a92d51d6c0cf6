"""The account schema that auth and users return."""

import marshmallow as ma

from bookings_api.http.openapi.examples import SIGNED_UP_AT, URI_EMAIL, URI_ID
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import Role


class UserSchema(ResponseSchema):
    """An account."""

    id = ma.fields.UUID(required=True, metadata={"description": "The ID of the account.", "example": URI_ID})
    email = ma.fields.Email(
        required=True, metadata={"description": "The email the user logs in with.", "example": URI_EMAIL}
    )
    name = ma.fields.String(
        required=True, allow_none=True, metadata={"description": "The name of the user.", "example": "Uri"}
    )
    role = ma.fields.Enum(
        Role,
        by_value=ma.fields.String,
        required=True,
        metadata={"description": "What the user may do.", "example": Role.USER.value},
    )
    is_active = ma.fields.Boolean(
        required=True,
        metadata={"description": "Whether the account may log in. `false` if it is deactivated.", "example": True},
    )
    is_invited = ma.fields.Boolean(
        required=True,
        metadata={
            "description": "Whether the account has an invitation that has not been accepted yet.",
            "example": False,
        },
    )
    version = ma.fields.Integer(
        required=True,
        metadata={"description": "The version of the account. Each change increases it by 1.", "example": 1},
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the account was created.", "example": SIGNED_UP_AT}
    )
