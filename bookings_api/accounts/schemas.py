"""The account schema and the field for new passwords, shared by `auth` and `users`."""

import marshmallow as ma

from bookings_api.accounts.passwords import MAX_LENGTH, MIN_LENGTH, is_common
from bookings_api.http.fields import Password
from bookings_api.http.openapi.examples import NEW_PASSWORD, SIGNED_UP_AT, URI_EMAIL, URI_ID
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
        metadata={
            "description": "`organizer` for organizers and owners, `user` for everyone else.",
            "example": Role.USER.value,
        },
    )
    is_owner = ma.fields.Boolean(
        required=True,
        metadata={
            "description": "Whether the user is an owner of the organization. In responses from `/users/me`, whether"
            " you are an owner of at least one organization.",
            "example": False,
        },
    )
    is_active = ma.fields.Boolean(
        required=True,
        metadata={
            "description": "Whether the user has access. `false` if their account is deactivated or the organization"
            " has revoked their access.",
            "example": True,
        },
    )
    is_invited = ma.fields.Boolean(
        required=True,
        metadata={"description": "Whether an invitation to the organization is still pending.", "example": False},
    )
    email_verified = ma.fields.Boolean(
        required=True,
        metadata={
            "description": "Whether the user has verified this email. Always `false` for people who were invited and"
            " are not members yet.",
            "example": False,
        },
    )
    version = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The version of the account. Each change or repeated invitation increases it by 1.",
            "example": 1,
        },
    )
    created_at = ma.fields.AwareDateTime(
        required=True,
        metadata={
            "description": "When the account was created. For people who were invited and are not members yet, when"
            " they were added to the organization.",
            "example": SIGNED_UP_AT,
        },
    )


def _require_uncommon(password: str) -> None:
    if is_common(password):
        raise ma.ValidationError("Too common. Choose a password that is harder to guess.")


def new_password(example: str = NEW_PASSWORD, *, is_required: bool = True, note: str = "") -> Password:
    """Return a field for a new password, which must be long enough and not common. `note` extends its description."""
    metadata = {"description": f"The new password. Must not be a common password.{note}", "example": example}
    field = Password(min_length=MIN_LENGTH, max_length=MAX_LENGTH, required=is_required, metadata=metadata)
    field.validators.append(_require_uncommon)
    return field
