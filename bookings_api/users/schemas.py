"""Schemas for managing accounts."""

from typing import Any

import marshmallow as ma

from bookings_api.accounts.passwords import MAX_LENGTH
from bookings_api.accounts.schemas import new_password
from bookings_api.http.fields import Boolean, Choice, EmailAddress, Identifier, Name, Password, QueryBoolean, Text
from bookings_api.http.openapi.examples import COLLEAGUE_EMAIL
from bookings_api.http.schemas import BaseSchema, PageQuerySchema
from bookings_api.models import MemberRole, Role


def organization_id() -> Identifier:
    """Return the field that selects one of the caller's organizations."""
    return Identifier(metadata={"description": "The organization. Required only if you are an organizer of several."})


class OrganizationQuerySchema(BaseSchema):
    """The organization in which to look."""

    organization_id = organization_id()


class UserQuerySchema(PageQuerySchema):
    """Filters for the list of people."""

    organization_id = organization_id()

    q = Text(
        max_length=100,
        metadata={
            "description": (
                "Return only accounts that contain each of these words in their name or email. Ignores order, case and"
                " accents. Only the 5 longest words are used."
            )
        },
    )
    role = Choice(*Role, metadata={"description": "Return only accounts with this role."})
    is_active = QueryBoolean(
        metadata={"description": "Return only active accounts (`true`) or only deactivated ones (`false`)."}
    )

    @ma.post_load
    def _sort(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Sort cursors by a field that never changes, so that no account is skipped."""
        return data | {"is_sorted_by_id": "after" in data}


class InvitationSchema(BaseSchema):
    """The person to invite."""

    email = EmailAddress(
        required=True, metadata={"description": "Where to send the invitation.", "example": COLLEAGUE_EMAIL}
    )
    organization_id = organization_id()
    role = Choice(
        *MemberRole,
        metadata={
            "description": "The role of the account. Defaults to `user`, or to the role of the earlier invitation.",
            "example": Role.ORGANIZER.value,
        },
    )
    name = Name(
        metadata={"description": "The person's name. They can change it when they accept.", "example": "Colette"}
    )


class UserChangeSchema(BaseSchema):
    """The fields to change. Omitted fields keep their values."""

    name = Name(metadata={"description": "The name of the user.", "example": "Uri Levin"})
    role = Choice(
        *MemberRole,
        metadata={
            "description": "The role of the account. Changing it ends all logins of the account.",
            "example": Role.ORGANIZER.value,
        },
    )
    is_active = Boolean(
        metadata={
            "description": "Whether the account is active. `false` logs the user out everywhere.",
            "example": True,
        }
    )


class ProfileChangeSchema(BaseSchema):
    """The fields of your account to change."""

    name = Name(metadata={"description": "Your name, used in emails to you.", "example": "Uri Levin"})
    email = EmailAddress(
        metadata={"description": "Your new email. It changes when you confirm it with the token that is sent to it."}
    )
    current_password = Password(
        max_length=MAX_LENGTH, metadata={"description": "Your current password. Required to change your email."}
    )


class PasswordChangeSchema(BaseSchema):
    """Your current password and the new one."""

    current_password = Password(
        max_length=MAX_LENGTH, required=True, metadata={"description": "Your current password."}
    )
    new_password = new_password()
