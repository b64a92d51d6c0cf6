"""Finding accounts."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.errors import UserNotFound
from bookings_api.extensions import db
from bookings_api.models import Role, User


def list_users(*, q: str | None = None, role: Role | None = None, is_active: bool | None = None) -> sa.Select[Any]:
    """Accounts by their e-mail address; `q` is a part of it or of the name, in any case."""
    query = sa.select(User).order_by(sa.func.lower(User.email), User.id)
    if q is not None:
        query = query.where(User.email.icontains(q, autoescape=True) | User.name.icontains(q, autoescape=True))
    if role is not None:
        query = query.where(User.role == role)
    if is_active is not None:
        query = query.where(User.is_active == is_active)
    return query


def get_user(user_id: UUID) -> User:
    """Raises `UserNotFound`."""
    user = db.session.get(User, user_id)
    if user is None:
        raise UserNotFound
    return user
