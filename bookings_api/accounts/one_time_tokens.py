"""Single-use tokens that are sent by email.

A token is an HMAC of its row's ID under the secret key. The outbox contains only the ID, and the row contains only the
token's hash. Therefore, access to the database is not enough to obtain a token. Lock the account before you change its
tokens.
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
from bookings_api.models import OneTimeToken, TokenPurpose, User

LIFETIMES = {
    TokenPurpose.INVITATION: timedelta(days=7),
    TokenPurpose.PASSWORD_RESET: timedelta(hours=1),
    TokenPurpose.EMAIL_VERIFICATION: timedelta(days=7),
    TokenPurpose.EMAIL_CHANGE: timedelta(days=1),
}


def issue_token(
    user: User, purpose: TokenPurpose, *, subject_id: UUID | None = None, new_email: str | None = None
) -> UUID:
    """Issue a token, and revoke the account's earlier token for the same purpose and subject.

    Returns the new token's ID (see `token_of`). `OneTimeToken` describes `subject_id` and `new_email`.
    """
    revoke_tokens(user, purpose, subject_id=subject_id)
    token_id = uuid7()
    db.session.add(
        OneTimeToken(
            id=token_id,
            user_id=user.id,
            purpose=purpose,
            subject_id=subject_id,
            new_email=new_email,
            token_hash=_hash(token_of(token_id)),
            expires_at=sa.func.now() + LIFETIMES[purpose],
        )
    )
    return token_id


def revoke_tokens(user: User, *purposes: TokenPurpose, subject_id: UUID | None = None) -> None:
    """Delete the account's tokens for these purposes. With `subject_id`, delete only tokens for that subject."""
    require_transaction()
    tokens = sa.delete(OneTimeToken).where(OneTimeToken.user_id == user.id, OneTimeToken.purpose.in_(purposes))
    db.session.execute(tokens.where(OneTimeToken.subject_id == subject_id) if subject_id else tokens)


def lock_token_owner(token: str, *purposes: TokenPurpose) -> tuple[User, OneTimeToken] | None:
    """Find a valid token for one of these purposes and lock its account. Returns the account and the token's row.

    Returns None if the token is unknown, revoked or expired. The caller must revoke the token. A concurrent request
    with the same token then waits for the lock and gets None.
    """
    require_transaction()
    valid = sa.select(OneTimeToken).where(
        OneTimeToken.token_hash == _hash(token),
        OneTimeToken.purpose.in_(purposes),
        OneTimeToken.expires_at > sa.func.now(),
    )
    issued = db.session.scalars(valid).one_or_none()
    if issued is None:
        return None
    user = lock_account(issued.user_id)
    issued = db.session.scalars(valid.execution_options(populate_existing=True)).one_or_none()
    return (user, issued) if user and issued else None


def token_of(token_id: UUID) -> str:
    """Return the token with this ID, as 43 URL-safe characters. Only emails may contain the token."""
    key = current_app.config["SECRET_KEY"].encode()
    return urlsafe_b64encode(hmac.digest(key, b"single-use token " + token_id.bytes, "sha256")).decode().rstrip("=")


def _hash(token: str) -> bytes:
    """Hash a token. SHA-256 is sufficient because a 256-bit secret cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()
