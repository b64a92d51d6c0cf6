"""Schemas for credentials and tokens."""

import marshmallow as ma

from bookings_api.accounts.passwords import MAX_LENGTH
from bookings_api.accounts.schemas import new_password
from bookings_api.http.fields import AccountEmail, Boolean, EmailAddress, Name, Password, Text
from bookings_api.http.openapi.examples import (
    ACCESS_TOKEN,
    EMAILED_TOKEN,
    PASSWORD,
    REFRESH_TOKEN,
    URI_EMAIL,
)
from bookings_api.http.schemas import BaseSchema, ResponseSchema


def emailed_token() -> Text:
    """Return a field for a token from an email."""
    return Text(
        max_length=100, required=True, metadata={"description": "The token from the email.", "example": EMAILED_TOKEN}
    )


class SignupSchema(BaseSchema):
    """A new account."""

    email = EmailAddress(required=True, metadata={"description": "The email you log in with.", "example": URI_EMAIL})
    password = new_password(PASSWORD)
    name = Name(
        metadata={
            "description": "Your name. Appears in emails to you, to your guests and to people you invite.",
            "example": "Uri",
        }
    )
    is_organizer = Boolean(
        load_default=False,
        metadata={
            "description": "Whether to sign up as an organizer, who can create and manage events.",
            "example": False,
        },
    )
    organization_name = Name(
        metadata={
            "description": "The name of your new organization. Defaults to `My organization`. Ignored unless you sign"
            " up as an organizer and `ORGANIZER_SIGNUP` is `own_organization`.",
            "example": "Chamber Music Society",
        }
    )


class LoginSchema(BaseSchema):
    """Your email and password."""

    email = AccountEmail(required=True, metadata={"description": "Your email.", "example": URI_EMAIL})
    password = Password(max_length=MAX_LENGTH, required=True, metadata={"description": "Your password."})


class PasswordGrantSchema(BaseSchema):
    """The OAuth 2.0 password grant (RFC 6749, section 4.3.2). Other parameters are ignored."""

    class Meta:
        unknown = ma.EXCLUDE

    grant_type = ma.fields.String(
        load_default="password",
        validate=[ma.validate.Equal("password")],
        metadata={"description": "Must be `password`, the only supported grant type.", "example": "password"},
    )
    username = AccountEmail(required=True, metadata={"description": "Your email.", "example": URI_EMAIL})
    password = Password(max_length=MAX_LENGTH, required=True, metadata={"description": "Your password."})


class TokenSchema(ResponseSchema):
    """An access token (RFC 6750) and a refresh token."""

    access_token = ma.fields.String(
        required=True,
        metadata={
            "description": "The token to send as `Authorization: Bearer TOKEN` with each request.",
            "example": ACCESS_TOKEN,
        },
    )
    refresh_token = ma.fields.String(
        required=True,
        metadata={
            "description": "The token to exchange for the next pair of tokens. Works only once.",
            "example": REFRESH_TOKEN,
        },
    )
    token_type = ma.fields.String(
        required=True, metadata={"description": "Always `bearer`.", "enum": ["bearer"], "example": "bearer"}
    )
    expires_in = ma.fields.Integer(
        required=True, metadata={"description": "The number of seconds until the access token expires.", "example": 900}
    )


class VerificationSchema(BaseSchema):
    """The emailed token."""

    token = emailed_token()


class PasswordResetSchema(BaseSchema):
    """The account whose password you want to reset."""

    email = AccountEmail(required=True, metadata={"description": "The account's email.", "example": URI_EMAIL})


class PasswordResetConfirmSchema(BaseSchema):
    """The emailed token and the new password."""

    token = emailed_token()
    password = new_password()


class InvitationAcceptSchema(BaseSchema):
    """The token from the invitation, and your password and name."""

    token = emailed_token()
    password = new_password(
        is_required=False,
        note=" Ignored if your email is already verified, otherwise required.",
    )
    name = Name(
        metadata={
            "description": "Your name. Defaults to the name in the invitation, if any. Ignored if your email is already"
            " verified.",
            "example": "Colette",
        }
    )
