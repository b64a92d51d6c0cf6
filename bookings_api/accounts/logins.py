"""Creates, refreshes and revokes logins. Requests with a revoked login are rejected immediately."""

from datetime import timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa

from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.models import Login, User


def begin_login(user_id: UUID, *, lifetime: timedelta) -> Login:
    """Create a login for an account. Its first refresh token is valid for `lifetime`."""
    require_transaction()
    login = Login(user_id=user_id, expires_at=sa.func.now() + lifetime)
    db.session.add(login)
    db.session.flush()
    return login


def rotate_refresh_token(login_id: UUID, jti: UUID, *, lifetime: timedelta) -> Login | None:
    """Give a login a new refresh token. Returns None if the login was revoked or `jti` is not the current token's ID.

    Uses a single statement, so that only one of two concurrent requests with the same token succeeds.
    """
    require_transaction()
    statement = (
        sa.update(Login)
        .where(Login.id == login_id, Login.refresh_jti == jti, Login.revoked_at.is_(None))
        .values(refresh_jti=uuid4(), expires_at=sa.func.now() + lifetime)
        .returning(Login)
    )
    return db.session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()


def revoke_login(login_id: UUID) -> None:
    _revoke(Login.id == login_id)


def revoke_logins_of(user: User, *, except_for: UUID | None = None) -> None:
    _revoke(Login.user_id == user.id, *([Login.id != except_for] if except_for else []))


def _revoke(*criteria: sa.ColumnElement[bool]) -> None:
    require_transaction()
    db.session.execute(sa.update(Login).where(Login.revoked_at.is_(None), *criteria).values(revoked_at=sa.func.now()))
