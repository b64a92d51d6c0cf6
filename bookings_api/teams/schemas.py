"""Schemas for event teams and transfers."""

from typing import Any

import marshmallow as ma

from bookings_api.http.fields import AccountEmail, Choice, EmailAddress, Identifier
from bookings_api.http.openapi.examples import COLLEAGUE_EMAIL, PUBLISHED_AT, URI_EMAIL, URI_ID
from bookings_api.http.schemas import BaseSchema, ResponseSchema
from bookings_api.models import TeamRole

_ROLE = (
    "`co_organizer` can edit the event and manage its bookings, but cannot delete the event or manage its team."
    " `check_in` can only see the event and its door list."
)


class TeamMemberSchema(ResponseSchema):
    """A person on an event's team, or invited to it."""

    user_id = ma.fields.UUID(
        required=True, metadata={"description": "The ID of the person's account.", "example": URI_ID}
    )
    email = ma.fields.Email(required=True, metadata={"description": "The person's email.", "example": URI_EMAIL})
    name = ma.fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The person's name. `null` if they have no name or have not accepted the invitation.",
            "example": None,
        },
    )
    role = ma.fields.Enum(
        TeamRole,
        by_value=ma.fields.String,
        required=True,
        metadata={"description": _ROLE, "example": TeamRole.CHECK_IN.value},
    )
    is_invited = ma.fields.Boolean(
        required=True,
        metadata={
            "description": "Whether the invitation is still pending. The role has no effect until the person accepts.",
            "example": True,
        },
    )
    version = ma.fields.Integer(
        required=True,
        metadata={
            "description": "The version of the person's role. Each change or repeated invitation increases it by 1.",
            "example": 1,
        },
    )
    created_at = ma.fields.AwareDateTime(
        required=True, metadata={"description": "When the person was added or invited.", "example": PUBLISHED_AT}
    )


class TeamMemberCreateSchema(BaseSchema):
    """The person to add to the team."""

    email = EmailAddress(required=True, metadata={"description": "The person's email.", "example": URI_EMAIL})
    role = Choice(*TeamRole, required=True, metadata={"description": _ROLE, "example": TeamRole.CHECK_IN.value})


class TeamMemberChangeSchema(BaseSchema):
    """The fields to change. Omitted fields keep their values."""

    role = Choice(*TeamRole, metadata={"description": _ROLE, "example": TeamRole.CO_ORGANIZER.value})


class TransferSchema(BaseSchema):
    """The event's new organizer. Set either `user_id` or `email`."""

    user_id = Identifier(metadata={"description": "The ID of the new organizer's account."})
    email = AccountEmail(metadata={"description": "The new organizer's email.", "example": COLLEAGUE_EMAIL})

    @ma.validates_schema
    def _validate_person(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ma.ValidationError("Give either user_id or email.", "email")
