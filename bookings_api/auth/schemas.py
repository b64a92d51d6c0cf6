"""Credentials and tokens over HTTP."""

import marshmallow as ma

from bookings_api.auth.passwords import MAX_LENGTH, MIN_LENGTH, is_common
from bookings_api.http.fields import Boolean, EmailAddress, Name, Password, Text
from bookings_api.http.schemas import BaseSchema, ResponseSchema


def _require_uncommon(password: str) -> None:
    if is_common(password):
        raise ma.ValidationError("This is one of the passwords that are tried first; please choose another.")


def new_password(**kwargs: bool) -> Password:
    """The field of a password to be: long enough, and not one of the common ones."""
    field = Password(min_length=MIN_LENGTH, max_length=MAX_LENGTH, required=True, **kwargs)
    field.validators.append(_require_uncommon)
    return field


class SignupSchema(BaseSchema):
    """A new account."""

    email = EmailAddress(required=True, metadata={"example": "ada@example.com"})
    password = new_password()
    name = Name(metadata={"example": "Ada Lovelace"})
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
    """A login: an access token (RFC 6750) and the refresh token that gives the next pair."""

    access_token = ma.fields.String(required=True)
    refresh_token = ma.fields.String(required=True)
    token_type = ma.fields.String(required=True, metadata={"enum": ["bearer"]})
    expires_in = ma.fields.Integer(
        required=True, metadata={"description": "Seconds that the access token is good for.", "example": 900}
    )


class PasswordResetSchema(BaseSchema):
    """Whose password is forgotten."""

    email = EmailAddress(required=True, metadata={"example": "ada@example.com"})


class PasswordResetConfirmSchema(BaseSchema):
    """The token of the mail, and the password to be."""

    token = Text(max_length=100, required=True)
    password = new_password()


class InvitationAcceptSchema(BaseSchema):
    """The token of the invitation, and what the invited person adds to the account."""

    token = Text(max_length=100, required=True)
    password = new_password()
    name = Name(metadata={"example": "Ada Lovelace"})
