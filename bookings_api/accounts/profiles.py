"""Accounts as shown to their owners."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings_api.models import MemberRole, Role, User


@dataclass(frozen=True, kw_only=True)
class Profile:
    """An account with its highest role in any organization."""

    id: UUID
    email: str
    name: str | None
    role: Role
    is_owner: bool
    is_active: bool
    is_invited: bool
    email_verified: bool
    version: int
    created_at: datetime


def profile_of(user: User, roles: Collection[MemberRole]) -> Profile:
    """Return an account's profile. `roles` are the account's roles in its organizations."""
    return Profile(
        id=user.id,
        email=user.email,
        name=user.name,
        role=Role.ORGANIZER if {MemberRole.OWNER, MemberRole.ORGANIZER} & {*roles} else Role.USER,
        is_owner=MemberRole.OWNER in roles,
        is_active=user.is_active,
        is_invited=user.is_invited,
        email_verified=user.email_verified,
        version=user.version,
        created_at=user.created_at,
    )
