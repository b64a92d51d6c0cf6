"""Queries for accounts."""

import sqlalchemy as sa

from bookings_api.extensions import db
from bookings_api.models import User


def user_by_email(email: str) -> User | None:
    """Return the account with this email, ignoring case."""
    return db.session.scalars(sa.select(User).where(sa.func.lower(User.email) == email.lower())).one_or_none()
