"""Logins in the database: begun, refreshed, and over at the very next request once they are revoked."""

from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from bookings_api.extensions import db
from bookings_api.models import Session, User, utcnow
from bookings_api.models.session import is_logged_in
from bookings_api.prepared import Prepared
from bookings_api.transactions import require_transaction

_USER_OF_SESSION = Prepared(
    "user_of_session",
    sa.select(User)
    .join(Session, Session.user_id == User.id)
    .where(Session.id == sa.bindparam("session_id", type_=sa.Uuid()), *is_logged_in()),
)


def begin_session(user_id: UUID, *, expires_at: datetime) -> Session:
    """A new login of that account, in the open transaction; its first refresh token is good until `expires_at`."""
    require_transaction()
    session = Session(user_id=user_id, expires_at=expires_at)
    db.session.add(session)
    db.session.flush()
    return session


def user_of_session(session_id: UUID) -> User | None:
    """The account of a login, in one round trip; None once the login is revoked or the account not active."""
    return _USER_OF_SESSION.one_or_none(User, session_id=session_id)


def spend_refresh_token(session_id: UUID, jti: UUID, *, expires_at: datetime) -> Session | None:
    """Put a new refresh token in the place of the one named `jti`; None if that is not the unspent one.

    One statement, so of two requests with the same token one at most succeeds.
    """
    require_transaction()
    statement = (
        sa.update(Session)
        .where(Session.id == session_id, Session.refresh_jti == jti, Session.revoked_at.is_(None))
        .values(refresh_jti=uuid4(), expires_at=expires_at)
        .returning(Session)
    )
    return db.session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()


def revoke_session(session_id: UUID) -> None:
    """End one login."""
    _revoke(Session.id == session_id)


def revoke_sessions_of(user: User, *, except_for: UUID | None = None) -> None:
    """End every login of `user`, but for the one given."""
    _revoke(Session.user_id == user.id, *([Session.id != except_for] if except_for else []))


def _revoke(*criteria: sa.ColumnElement[bool]) -> None:
    require_transaction()
    db.session.execute(sa.update(Session).where(Session.revoked_at.is_(None), *criteria).values(revoked_at=utcnow()))
