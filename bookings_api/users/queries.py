"""Finding accounts, and locking them."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bookings_api.errors import UserNotFound
from bookings_api.extensions import db
from bookings_api.models import Role, User
from bookings_api.transactions import require_transaction


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


def lock_user(user_id: UUID) -> User:
    """The account, locked until the transaction ends, after every active organizer.

    Organizers are locked first and in the order of their ids, so that of two who take each other's role away one
    waits, and sees that the other is the last. Raises `UserNotFound`.
    """
    require_transaction()
    everybody = active_organizers().order_by(User.id).with_for_update()
    db.session.scalars(everybody, execution_options={"populate_existing": True}).all()
    locked = sa.select(User).where(User.id == user_id).with_for_update()
    user = db.session.scalars(locked, execution_options={"populate_existing": True}).one_or_none()
    if user is None:
        raise UserNotFound
    return user


def active_organizers() -> sa.Select[Any]:
    """Organizers who can log in: active, and not merely invited."""
    return sa.select(User).where(User.role == Role.ORGANIZER, User.is_active, User.password_hash.is_not(None))
