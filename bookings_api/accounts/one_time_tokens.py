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

from bookings_api.accounts.locks import lock_account
from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.models import OneTimeToken, TokenPurpose, User, utcnow

LIFETIMES = {TokenPurpose.INVITATION: timedelta(days=7), TokenPurpose.PASSWORD_RESET: timedelta(hours=1)}


def issue_token(user: User, purpose: TokenPurpose) -> UUID:
    """A new token of the locked `user`, in place of an earlier one; returns the id by which `token_of` gives it."""
    withdraw_tokens(user, purpose)
    token_id = uuid7()
    db.session.add(
        OneTimeToken(
            id=token_id,
            user_id=user.id,
            purpose=purpose,
            token_hash=_hash(token_of(token_id)),
            expires_at=utcnow() + LIFETIMES[purpose],
        )
    )
    return token_id


def withdraw_tokens(user: User, purpose: TokenPurpose) -> None:
    """Make what was mailed to the locked `user` for that purpose worth nothing."""
    require_transaction()
    db.session.execute(sa.delete(OneTimeToken).where(OneTimeToken.user_id == user.id, OneTimeToken.purpose == purpose))


def owner_of_token(token: str, purpose: TokenPurpose) -> User | None:
    """The account that a token was issued to, locked; None if it is no token, was withdrawn, or has expired.

    The caller withdraws it, which spends it: who waits for the lock meanwhile finds it gone.
    """
    require_transaction()
    good = sa.select(OneTimeToken.user_id).where(
        OneTimeToken.token_hash == _hash(token),
        OneTimeToken.purpose == purpose,
        OneTimeToken.expires_at > utcnow(),
    )
    user_id = db.session.scalars(good).one_or_none()
    user = lock_account(user_id) if user_id else None
    return user if db.session.scalars(good).one_or_none() else None


def token_of(token_id: UUID) -> str:
    """The token itself, 43 characters that are safe in a URL; for the mail only."""
    key = current_app.config["SECRET_KEY"].encode()
    return urlsafe_b64encode(hmac.digest(key, b"single-use token " + token_id.bytes, "sha256")).decode().rstrip("=")


def _hash(token: str) -> bytes:
    """SHA-256 is enough for a secret of 256 bits, which nobody can guess."""
    return hashlib.sha256(token.encode()).digest()
