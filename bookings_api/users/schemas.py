"""Accounts over HTTP."""

from bookings_api.accounts.passwords import MAX_LENGTH
from bookings_api.auth.schemas import new_password
from bookings_api.http.fields import Boolean, Choice, EmailAddress, Name, Password, QueryBoolean, Text
from bookings_api.http.openapi.examples import COLLEAGUE_EMAIL
from bookings_api.http.schemas import BaseSchema, PageQuerySchema
from bookings_api.models import Role


class UserQuerySchema(PageQuerySchema):
    """Which accounts."""

    q = Text(max_length=100, metadata={"description": "Part of the name or of the e-mail address."})
    role = Choice(*Role, metadata={"description": "Accounts with this role."})
    is_active = QueryBoolean(metadata={"description": "Those that can log in; false: that are deactivated."})


class InvitationSchema(BaseSchema):
    """Whom to invite, and as what."""

    email = EmailAddress(required=True, metadata={"example": COLLEAGUE_EMAIL})
    role = Choice(
        *Role, metadata={"description": "Default: user, or as invited before.", "example": Role.ORGANIZER.value}
    )
    name = Name(metadata={"description": "The invited person may choose another.", "example": "Colette"})


class UserChangeSchema(BaseSchema):
    """What organizers may change of an account; never its e-mail address or password."""

    name = Name(metadata={"example": "Uri Levin"})
    role = Choice(*Role, metadata={"description": "Another one ends its logins.", "example": Role.ORGANIZER.value})
    is_active = Boolean(metadata={"description": "False ends its logins, and lets it make none.", "example": True})


class ProfileChangeSchema(BaseSchema):
    """What everybody may change of the own account."""

    name = Name(metadata={"example": "Uri Levin"})


class PasswordChangeSchema(BaseSchema):
    """The present password and the one to be."""

    current_password = Password(max_length=MAX_LENGTH, required=True)
    new_password = new_password()
