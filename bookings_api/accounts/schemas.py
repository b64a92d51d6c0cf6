"""Accounts over HTTP, as auth and users return them."""

import marshmallow as ma

from bookings_api.http.openapi.examples import SIGNED_UP_AT, URI_EMAIL, URI_ID
from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import Role


class UserSchema(ResponseSchema):
    """An account."""

    id = ma.fields.UUID(required=True, metadata={"example": URI_ID})
    email = ma.fields.Email(required=True, metadata={"example": URI_EMAIL})
    name = ma.fields.String(required=True, allow_none=True, metadata={"example": "Uri"})
    role = ma.fields.Enum(Role, by_value=ma.fields.String, required=True, metadata={"example": Role.USER.value})
    is_active = ma.fields.Boolean(
        required=True, metadata={"description": "False: nobody can log in to it.", "example": True}
    )
    is_invited = ma.fields.Boolean(
        required=True, metadata={"description": "The invitation is not accepted yet.", "example": False}
    )
    version = ma.fields.Integer(required=True, metadata={"description": "Counts its changes.", "example": 1})
    created_at = ma.fields.AwareDateTime(required=True, metadata={"example": SIGNED_UP_AT})
