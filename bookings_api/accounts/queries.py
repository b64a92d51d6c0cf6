"""Queries for accounts."""

import sqlalchemy as sa

from bookings_api.email_addresses import spellings
from bookings_api.extensions import db
from bookings_api.models import User


def user_by_email(email: str) -> User | None:
    """Return the account with this email, or None. Ignores case and whether the domain is IDNA-encoded."""
    return db.session.scalars(with_email(sa.select(User), email)).one_or_none()


def with_email(accounts: sa.Select[User], email: str) -> sa.Select[User]:
    """Restrict a query to the account with this email, ignoring case and whether the domain is IDNA-encoded.

    If two accounts match, selects the account whose domain is spelled as in `email`.
    """
    # Lowercased in Python, as for rate limits. PostgreSQL's `lower` also maps the Turkish dotted capital I to i. Emails
    # with that letter would find the account but have separate rate limits.
    as_typed, *others = (spelling.lower() for spelling in spellings(email))
    stored = sa.func.lower(User.email)
    return accounts.where(stored.in_([as_typed, *others])).order_by((stored == as_typed).desc()).limit(1)
