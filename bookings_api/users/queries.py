"""Queries for accounts."""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import LIKE_ESCAPE, Listing, ListQuery, like_pattern
from bookings_api.errors import UserNotFound
from bookings_api.extensions import db
from bookings_api.models import Role, User

_PATTERN = sa.bindparam("q", type_=sa.String)
_USERS = ListQuery(
    sa.select(User).order_by(sa.func.lower(User.email), User.id),
    filters={
        "q": User.email.ilike(_PATTERN, escape=LIKE_ESCAPE) | User.name.ilike(_PATTERN, escape=LIKE_ESCAPE),
        "role": User.role == sa.bindparam("role"),
        "is_active": User.is_active == sa.bindparam("is_active"),
    },
)


def list_users(*, q: str | None = None, role: Role | None = None, is_active: bool | None = None) -> Listing:
    """List accounts, sorted by email. `q` searches emails and names, ignoring case."""
    return _USERS(q=like_pattern(q), role=role, is_active=is_active)


def get_user(user_id: UUID) -> User:
    """Return an account. Raises `UserNotFound`."""
    user = db.session.get(User, user_id)
    if user is None:
        raise UserNotFound
    return user
