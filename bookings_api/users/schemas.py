"""Accounts over HTTP."""

import marshmallow as ma

from bookings_api.http.schemas import ResponseSchema
from bookings_api.models import Role


class UserSchema(ResponseSchema):
    """An account."""

    id = ma.fields.UUID(required=True)
    email = ma.fields.Email(required=True, metadata={"example": "ada@example.com"})
    name = ma.fields.String(required=True, allow_none=True, metadata={"example": "Ada Lovelace"})
    role = ma.fields.Enum(Role, by_value=ma.fields.String, required=True)
    is_active = ma.fields.Boolean(required=True)
    created_at = ma.fields.AwareDateTime(required=True)
