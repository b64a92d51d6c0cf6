"""Emailed tokens that work once.

A token is an HMAC of its row's ID under the secret key. The email in the outbox contains only that ID, and the row only
the token's hash, so access to the database is not enough to obtain a token.
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
    """Replace the locked user's token for this purpose and subject. Returns the new token's ID; see `token_of`.

    The model explains `subject_id` and `new_email`.
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
    """Invalidate the tokens sent to the locked user for these purposes; with `subject_id`, only those for it."""
    require_transaction()
    tokens = sa.delete(OneTimeToken).where(OneTimeToken.user_id == user.id, OneTimeToken.purpose.in_(purposes))
    db.session.execute(tokens.where(OneTimeToken.subject_id == subject_id) if subject_id else tokens)


def lock_token_owner(token: str, *purposes: TokenPurpose) -> tuple[User, OneTimeToken] | None:
    """Lock the account a token was issued to for one of these purposes.

    Returns None if the token is unknown, revoked or expired. The caller must revoke the token. Concurrent uses wait for
    the lock and then find the token gone.
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
    """Return the token as 43 URL-safe characters. Use it only in the email."""
    key = current_app.config["SECRET_KEY"].encode()
    return urlsafe_b64encode(hmac.digest(key, b"single-use token " + token_id.bytes, "sha256")).decode().rstrip("=")


def _hash(token: str) -> bytes:
    """Hash a token. SHA-256 is sufficient because a 256-bit secret cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()
