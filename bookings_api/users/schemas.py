"""Accounts over HTTP."""

import marshmallow as ma

from bookings_api.auth.passwords import MAX_LENGTH
from bookings_api.auth.schemas import new_password
from bookings_api.http.fields import Boolean, Choice, EmailAddress, Name, Password, QueryBoolean, Text
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import Role


class UserSchema(ResponseSchema):
    """An account."""

    id = ma.fields.UUID(required=True)
    email = ma.fields.Email(required=True, metadata={"example": "ada@example.com"})
    name = ma.fields.String(required=True, allow_none=True, metadata={"example": "Ada Lovelace"})
    role = ma.fields.Enum(Role, by_value=ma.fields.String, required=True)
    is_active = ma.fields.Boolean(required=True)
    is_invited = ma.fields.Boolean(
        required=True, metadata={"description": "The invitation is not accepted yet.", "example": False}
    )
    version = ma.fields.Integer(required=True)
    created_at = ma.fields.AwareDateTime(required=True)


class UserQuerySchema(PageQuerySchema):
    """Which accounts."""

    q = Text(max_length=100, metadata={"description": "Part of the name or of the e-mail address."})
    role = Choice(*Role)
    is_active = QueryBoolean()


class InvitationSchema(BaseSchema):
    """Whom to invite, and as what."""

    email = EmailAddress(required=True, metadata={"example": "grace@example.com"})
    role = Choice(*Role, metadata={"description": "Default: user, or as invited before."})
    name = Name(metadata={"example": "Grace Hopper"})


class UserChangeSchema(BaseSchema):
    """What organizers may change of an account; never its e-mail address or password."""

    name = Name(metadata={"example": "Grace Hopper"})
    role = Choice(*Role)
    is_active = Boolean()


class ProfileChangeSchema(BaseSchema):
    """What everybody may change of the own account."""

    name = Name(metadata={"example": "Ada Lovelace"})


class PasswordChangeSchema(BaseSchema):
    """The present password and the one to be."""

    current_password = Password(max_length=MAX_LENGTH, required=True)
    new_password = new_password()
