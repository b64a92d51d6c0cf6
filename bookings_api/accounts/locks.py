"""Row locks on accounts. Always lock an account before rows that belong to it, to prevent deadlocks."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from bookings_api.accounts.queries import with_email
from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.models import User


def lock_account(user_id: UUID) -> User | None:
    """Lock an account until the transaction ends and return its current state, or None if it does not exist."""
    return db.session.scalars(_locked(User.id == user_id)).one_or_none()


def lock_account_by_email(email: str) -> User | None:
    """Like `lock_account`, but find the account by its email (see `user_by_email`)."""
    return db.session.scalars(with_email(_locked(), email)).one_or_none()


def lock_or_create_account(email: str) -> User:
    """Like `lock_account_by_email`, but create an account without a password if none exists."""
    while (user := lock_account_by_email(email)) is None:
        # the INSERT waits for a concurrent request that creates the same account
        db.session.execute(postgresql.insert(User).values(email=email).on_conflict_do_nothing())
    return user


def _locked(*criteria: sa.ColumnElement[bool]) -> sa.Select[User]:
    """Select accounts `FOR NO KEY UPDATE`. Other transactions can still insert rows that refer to these accounts."""
    require_transaction()
    # populate_existing refreshes objects that the session read before the lock was acquired
    return sa.select(User).where(*criteria).with_for_update(key_share=True).execution_options(populate_existing=True)
