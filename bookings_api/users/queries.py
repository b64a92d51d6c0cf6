"""Queries for accounts."""

from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.listing import Listing, ListQuery, Order, folded, search, words_in
from bookings_api.errors import UserNotFound
from bookings_api.extensions import db
from bookings_api.models import Role, User

_USERS = ListQuery(
    sa.select(User),
    filters={
        **words_in(folded(sa.func.concat_ws(" ", User.name, User.email))),
        "role": User.role == sa.bindparam("role"),
        "is_active": User.is_active == sa.bindparam("is_active"),
    },
    orders=[Order(sa.func.lower(User.email))],
)


def list_users(*, q: str | None = None, role: Role | None = None, is_active: bool | None = None) -> Listing:
    """List accounts, sorted by email. `q` searches emails and names; see `words_in`."""
    return _USERS(role=role, is_active=is_active, **search(q))


def get_user(user_id: UUID) -> User:
    """Return an account. Raises `UserNotFound`."""
    user = db.session.get(User, user_id)
    if user is None:
        raise UserNotFound
    return user
