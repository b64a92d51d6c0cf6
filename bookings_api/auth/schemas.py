"""Credentials and tokens over HTTP."""

import marshmallow as ma

from bookings_api.auth.passwords import MAX_LENGTH, MIN_LENGTH
from bookings_api.http.fields import Boolean, EmailAddress, Password, Text
from bookings_api.http.schemas import BaseSchema, ResponseSchema


class SignupSchema(BaseSchema):
    """A new account."""

    email = EmailAddress(required=True, metadata={"example": "ada@example.com"})
    password = Password(min_length=MIN_LENGTH, max_length=MAX_LENGTH, required=True)
    name = Text(max_length=100, metadata={"example": "Ada Lovelace"})
    is_organizer = Boolean(load_default=False, metadata={"description": "Organizers create and manage events."})


class LoginSchema(BaseSchema):
    """E-mail address and password."""

    email = EmailAddress(required=True, metadata={"example": "ada@example.com"})
    password = Password(max_length=MAX_LENGTH, required=True)


class PasswordGrantSchema(ma.Schema):
    """The OAuth2 password form (RFC 6749, section 4.3.2); what else a client sends with it is not looked at."""

    class Meta:
        unknown = ma.EXCLUDE

    grant_type = ma.fields.String(load_default="password", validate=ma.validate.OneOf(["password"]))
    username = EmailAddress(required=True, metadata={"description": "The e-mail address."})
    password = Password(max_length=MAX_LENGTH, required=True)


class TokenSchema(ResponseSchema):
    """An access token (RFC 6750), to be sent as `Authorization: Bearer TOKEN`."""

    access_token = ma.fields.String(required=True)
    token_type = ma.fields.String(required=True, metadata={"enum": ["bearer"]})
    expires_in = ma.fields.Integer(required=True, metadata={"description": "Seconds.", "example": 900})
