"""Signing up and logging in."""

from psycopg2.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError

from bookings_api.auth import queries
from bookings_api.auth.passwords import hash_password, verify_password
from bookings_api.errors import EmailTaken, InvalidCredentials
from bookings_api.extensions import db
from bookings_api.models import Role, User
from bookings_api.transactions import transaction


def sign_up(*, email: str, password: str, name: str | None = None, role: Role = Role.USER) -> User:
    """Create an account. Raises `EmailTaken` when the address has one, in whatever case."""
    user = User(email=email, name=name, password_hash=hash_password(password), role=role)
    try:
        with transaction():
            db.session.add(user)
    except IntegrityError as error:
        # asking first would be a race; the unique index is the judge
        if isinstance(error.orig, UniqueViolation):
            raise EmailTaken from error
        raise
    return user


def log_in(*, email: str, password: str) -> User:
    """The active account of these credentials. Raises `InvalidCredentials`, never saying what is wrong."""
    user = queries.user_by_email(email)
    if not verify_password(user.password_hash if user else None, password) or user is None or not user.is_active:
        raise InvalidCredentials
    return user
