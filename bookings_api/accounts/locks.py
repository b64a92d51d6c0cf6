"""Row locks on accounts: an account is locked before anything that belongs to it, by everybody."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.models import Role, User


def lock_account(user_id: UUID) -> User | None:
    """The account as it is now, locked until the transaction ends; None if there is none."""
    return db.session.scalars(_locked(User.id == user_id), execution_options=_FRESH).one_or_none()


def lock_account_of(email: str) -> User | None:
    """The same, by the address in whatever case."""
    return db.session.scalars(
        _locked(sa.func.lower(User.email) == email.lower()), execution_options=_FRESH
    ).one_or_none()


def lock_active_organizers() -> Sequence[User]:
    """Organizers who can log in, active and not merely invited, locked in the order of their ids.

    So of two who take each other's role away one waits, and then sees that the other is the last.
    """
    able = _locked(User.role == Role.ORGANIZER, User.is_active.is_(True), User.password_hash.is_not(None))
    return db.session.scalars(able.order_by(User.id), execution_options=_FRESH).all()


# What an earlier read of this session left in memory is older than the lock.
_FRESH = {"populate_existing": True}


def _locked(*criteria: sa.ColumnElement[bool]) -> sa.Select[User]:
    """FOR NO KEY UPDATE: rows that refer to the account may be written meanwhile, bookings and mails for example."""
    require_transaction()
    return sa.select(User).where(*criteria).with_for_update(key_share=True)
