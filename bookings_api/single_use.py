"""Tokens that are mailed and work once.

A token is derived from the id of its row with a key that only the service has, so that the mail in the outbox
names the row and holds no token, and the row holds only the token's hash: neither is of use to who reads the
database.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from flask import current_app
from uuid_utils.compat import uuid7

from bookings_api.extensions import db
from bookings_api.models import SingleUseToken, TokenPurpose, User, utcnow
from bookings_api.transactions import require_transaction

LIFETIMES = {TokenPurpose.INVITATION: timedelta(days=7), TokenPurpose.PASSWORD_RESET: timedelta(hours=1)}


def issue_token(user: User, purpose: TokenPurpose) -> UUID:
    """A new token of `user`, in place of an earlier one; returns the id by which `token_of` gives it."""
    require_transaction()
    token_id = uuid7()
    db.session.execute(
        sa.delete(SingleUseToken).where(SingleUseToken.user_id == user.id, SingleUseToken.purpose == purpose)
    )
    db.session.add(
        SingleUseToken(
            id=token_id,
            user_id=user.id,
            purpose=purpose,
            token_hash=_hash(token_of(token_id)),
            expires_at=utcnow() + LIFETIMES[purpose],
        )
    )
    return token_id


def spend_token(token: str, purpose: TokenPurpose) -> User | None:
    """The active account that the token was issued to, and the token gone; None if it is no token, spent or expired.

    Deleting is what spends it, so of two requests with the same token one at most succeeds.
    """
    require_transaction()
    statement = (
        sa.delete(SingleUseToken)
        .where(
            SingleUseToken.token_hash == _hash(token),
            SingleUseToken.purpose == purpose,
            SingleUseToken.expires_at > utcnow(),
        )
        .returning(SingleUseToken.user_id)
    )
    user_id = db.session.scalars(statement).one_or_none()
    if user_id is None:
        return None
    active = sa.select(User).where(User.id == user_id, User.is_active).with_for_update()
    return db.session.scalars(active, execution_options={"populate_existing": True}).one_or_none()


def token_of(token_id: UUID) -> str:
    """The token itself, 43 characters that are safe in a URL; for the mail only."""
    key = current_app.config["SECRET_KEY"].encode()
    return urlsafe_b64encode(hmac.digest(key, b"single-use token " + token_id.bytes, "sha256")).decode().rstrip("=")


def _hash(token: str) -> bytes:
    """SHA-256 is enough for a secret of 256 bits, which nobody can guess."""
    return hashlib.sha256(token.encode()).digest()
