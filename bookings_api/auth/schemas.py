"""Credentials and tokens over HTTP."""

import marshmallow as ma

from bookings_api.accounts.passwords import MAX_LENGTH, MIN_LENGTH, is_common
from bookings_api.http.fields import Boolean, EmailAddress, Name, Password, Text
from bookings_api.http.openapi.examples import (
    ACCESS_TOKEN,
    MAILED_TOKEN,
    NEW_PASSWORD,
    PASSWORD,
    REFRESH_TOKEN,
    URI_EMAIL,
)
from bookings_api.http.schemas import BaseSchema, ResponseSchema


def _require_uncommon(password: str) -> None:
    if is_common(password):
        raise ma.ValidationError("This is one of the passwords that are tried first; please choose another.")


def new_password(example: str = NEW_PASSWORD) -> Password:
    """The field of a password to be: long enough, and not one of the common ones."""
    metadata = {"description": "None of those that are tried first.", "example": example}
    field = Password(min_length=MIN_LENGTH, max_length=MAX_LENGTH, required=True, metadata=metadata)
    field.validators.append(_require_uncommon)
    return field


def mailed_token() -> Text:
    """The field of a token that came by mail."""
    return Text(max_length=100, required=True, metadata={"description": "As the mail has it.", "example": MAILED_TOKEN})


class SignupSchema(BaseSchema):
    """A new account."""

    email = EmailAddress(required=True, metadata={"example": URI_EMAIL})
    password = new_password(PASSWORD)
    name = Name(metadata={"description": "How mails address the person.", "example": "Uri"})
    is_organizer = Boolean(
        load_default=False, metadata={"description": "Organizers create and manage events.", "example": False}
    )


class LoginSchema(BaseSchema):
    """E-mail address and password."""

    email = EmailAddress(required=True, metadata={"example": URI_EMAIL})
    password = Password(max_length=MAX_LENGTH, required=True)


class PasswordGrantSchema(BaseSchema):
    """The OAuth2 password form (RFC 6749, section 4.3.2); what else a client sends with it is not looked at."""

    class Meta:
        unknown = ma.EXCLUDE

    grant_type = ma.fields.String(
        load_default="password",
        validate=[ma.validate.Equal("password")],
        metadata={"description": "The one that there is here.", "example": "password"},
    )
    username = EmailAddress(required=True, metadata={"description": "The e-mail address.", "example": URI_EMAIL})
    password = Password(max_length=MAX_LENGTH, required=True)


class TokenSchema(ResponseSchema):
    """A login: an access token (RFC 6750) and the refresh token that gives the next pair."""

    access_token = ma.fields.String(
        required=True,
        metadata={"description": "Sent as `Authorization: Bearer TOKEN` with each request.", "example": ACCESS_TOKEN},
    )
    refresh_token = ma.fields.String(
        required=True,
        metadata={"description": "Works once, for the next pair.", "example": REFRESH_TOKEN},
    )
    token_type = ma.fields.String(required=True, metadata={"enum": ["bearer"], "example": "bearer"})
    expires_in = ma.fields.Integer(
        required=True, metadata={"description": "Seconds that the access token is good for.", "example": 900}
    )


class PasswordResetSchema(BaseSchema):
    """Whose password is forgotten."""

    email = EmailAddress(required=True, metadata={"example": URI_EMAIL})


class PasswordResetConfirmSchema(BaseSchema):
    """The token of the mail, and the password to be."""

    token = mailed_token()
    password = new_password()


class InvitationAcceptSchema(BaseSchema):
    """The token of the invitation, and what the invited person adds to the account."""

    token = mailed_token()
    password = new_password()
    name = Name(metadata={"description": "Default: as the invitation says.", "example": "Colette"})
