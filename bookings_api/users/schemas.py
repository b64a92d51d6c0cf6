"""Schemas for your own account and for the people in an organization."""

from typing import Any

import marshmallow as ma

from bookings_api.accounts.passwords import MAX_LENGTH
from bookings_api.accounts.schemas import UserSchema, new_password
from bookings_api.http.fields import Boolean, Choice, EmailAddress, Identifier, Name, Password, QueryBoolean, Text
from bookings_api.http.openapi.examples import (
    BOOKED_AT,
    BOOKING_ID,
    COLLEAGUE_EMAIL,
    EMAIL_ID,
    EMAILED_AT,
    EVENT_ID,
    GRACE_EMAIL,
    LOGIN_ID,
    ORGANIZATION_ID,
    REFERENCE,
    SIGNED_UP_AT,
    TICKET_TYPE_ID,
    URI_EMAIL,
    VERIFICATION_ID,
)
from bookings_api.http.schemas import BaseSchema, PageQuerySchema, ResponseSchema
from bookings_api.models import BookingStatus, EmailKind, EmailStatus, MemberRole, Role
from bookings_api.models.ticket_type import DEFAULT_TYPE_NAME


def organization_id() -> Identifier:
    """Return the field that selects one of the caller's organizations."""
    return Identifier(
        metadata={
            "description": "The ID of the organization. Required only if you are an organizer or owner of several"
            " organizations."
        }
    )


class OrganizationQuerySchema(BaseSchema):
    """The organization that the person belongs to."""

    organization_id = organization_id()


class UserQuerySchema(PageQuerySchema):
    """Filters for the list of people."""

    organization_id = organization_id()

    q = Text(
        max_length=100,
        metadata={
            "description": (
                "Return only people with each of these words in their name or email. Ignores case, accents and word"
                " order. Only the 5 longest words are used."
            )
        },
    )
    role = Choice(*Role, metadata={"description": "Return only people with this role."})
    is_active = QueryBoolean(
        metadata={"description": "Return only people with access (`true`) or only people without access (`false`)."}
    )

    @ma.post_load
    def _sort(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Sort by ID if `after` is set. IDs never change, so no person is skipped."""
        return data | {"is_sorted_by_id": "after" in data}


class InvitationSchema(BaseSchema):
    """The person to invite."""

    email = EmailAddress(
        required=True, metadata={"description": "The email to send the invitation to.", "example": COLLEAGUE_EMAIL}
    )
    organization_id = organization_id()
    role = Choice(
        *MemberRole,
        metadata={
            "description": "The person's role. Defaults to the role in a pending invitation, otherwise to the person's"
            " current role, otherwise to `user`.",
            "example": Role.ORGANIZER.value,
        },
    )
    name = Name(
        metadata={
            "description": "The person's name, which they can change when they accept. Ignored if their account already"
            " has a password.",
            "example": "Colette",
        }
    )


class UserChangeSchema(BaseSchema):
    """The fields to change. Omitted fields keep their values."""

    name = Name(metadata={"description": "The person's name.", "example": "Uri Levin"})
    role = Choice(
        *MemberRole,
        metadata={
            "description": "The person's role. A new role logs the person out on all devices, unless"
            " `ORGANIZER_SIGNUP` is `own_organization`.",
            "example": Role.ORGANIZER.value,
        },
    )
    is_active = Boolean(
        metadata={
            "description": "Whether the person has access. `false` logs the person out on all devices, unless"
            " `ORGANIZER_SIGNUP` is `own_organization`.",
            "example": True,
        }
    )


class ProfileChangeSchema(BaseSchema):
    """The fields of your account to change."""

    name = Name(
        metadata={
            "description": "Your name. Appears in emails to you, to your guests and to people you invite.",
            "example": "Uri Levin",
        }
    )
    email = EmailAddress(
        metadata={"description": "Your new email. Takes effect when you verify it with the token sent to this address."}
    )
    current_password = Password(
        max_length=MAX_LENGTH, metadata={"description": "Your current password. Required to change your email."}
    )


class AccountDeletionSchema(BaseSchema):
    """Your password, and whether to cancel your bookings."""

    current_password = Password(
        max_length=MAX_LENGTH, required=True, metadata={"description": "Your current password."}
    )
    cancel_bookings = Boolean(
        load_default=False,
        metadata={
            "description": "Whether to cancel your upcoming bookings. If `false` and you have upcoming bookings, the"
            " request fails with 409.",
            "example": True,
        },
    )


class PasswordChangeSchema(BaseSchema):
    """Your current password and your new password."""

    current_password = Password(
        max_length=MAX_LENGTH, required=True, metadata={"description": "Your current password."}
    )
    new_password = new_password()


def _rows(description: str, *examples: dict[str, Any]) -> ma.fields.List[Any]:
    return ma.fields.List(
        ma.fields.Dict(keys=ma.fields.String()),
        required=True,
        metadata={"description": description, "example": [*examples]},
    )


def _email(email_id: str, kind: EmailKind, recipient: str, booking_id: str | None, created_at: str) -> dict[str, Any]:
    about = {"id": email_id, "kind": kind.value, "recipient": recipient, "booking_id": booking_id}
    return about | {"status": EmailStatus.SENT.value, "created_at": created_at, "sent_at": EMAILED_AT}


class ExportSchema(ResponseSchema):
    """All personal data in an account."""

    account = ma.fields.Nested(
        UserSchema, required=True, metadata={"description": "Your account.", "example": UserSchema.example()}
    )
    memberships = _rows(
        "Your memberships in organizations. The role is `null` if you were only invited or only booked tickets.",
        {
            "organization_id": ORGANIZATION_ID,
            "organization": "Default organization",
            "role": MemberRole.USER.value,
            "invited_as": None,
            "is_active": True,
            "created_at": SIGNED_UP_AT,
        },
    )
    team_roles = _rows("Your roles in event teams, including pending invitations.")
    logins = _rows(
        "Your logins.",
        {"id": LOGIN_ID, "created_at": SIGNED_UP_AT, "expires_at": "2026-05-18T08:12:47+00:00", "revoked_at": None},
    )
    bookings = _rows(
        "The bookings that you made and, if your email is verified, the bookings that others made for you.",
        {
            "id": BOOKING_ID,
            "reference": REFERENCE,
            "event_id": EVENT_ID,
            "ticket_count": 2,
            "items": [{"ticket_type_id": TICKET_TYPE_ID, "name": DEFAULT_TYPE_NAME, "count": 2, "price": 0}],
            "external_id": None,
            "metadata": None,
            "guest_name": "Grace",
            "guest_email": GRACE_EMAIL,
            "status": BookingStatus.CONFIRMED.value,
            "amount_due": 0,
            "currency": None,
            "held_until": None,
            "position": None,
            "refund_due": False,
            "created_at": BOOKED_AT,
            "confirmed_at": BOOKED_AT,
            "cancelled_at": None,
        },
    )
    payments = _rows("The payments for these bookings, except for bookings that another account made.")
    emails = _rows(
        "The emails to you and the emails about bookings that you made.",
        _email(VERIFICATION_ID, EmailKind.EMAIL_VERIFICATION, URI_EMAIL, None, SIGNED_UP_AT),
        _email(EMAIL_ID, EmailKind.BOOKING_CONFIRMED, GRACE_EMAIL, BOOKING_ID, BOOKED_AT),
    )
    event_ids = ma.fields.List(
        ma.fields.UUID(),
        required=True,
        metadata={"description": "The IDs of the events that you organize.", "example": []},
    )
    api_keys = _rows("The API keys that you created or took over.")
