"""Password resets, which are asked for before anybody looks whether there is such an account.

The request writes a mail to the address as it was typed, and does the same work for every address: so neither its
answer nor its time tells who has an account. Whoever claims the mail looks whose it is.
"""

from typing import Any

import sqlalchemy as sa

from bookings_api.accounts.locks import lock_account_of
from bookings_api.accounts.one_time_tokens import issue_token
from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.models import EmailKind, OutboxEmail, TokenPurpose


def is_to_be_addressed(mail: OutboxEmail) -> bool:
    """Whether nobody has looked yet whose account it is."""
    return mail.kind is EmailKind.PASSWORD_RESET and "token_id" not in mail.payload


def address_reset(mail: OutboxEmail) -> bool:
    """Give a claimed mail its account and a token for it; False if it is for nobody.

    That is where the address has no account, or one that may not log in. Who was invited and has not accepted gets a
    new invitation instead: the address is taken, and the earlier one may have expired. Once written it stays, so that
    the mail has the same token if it has to be sent again.
    """
    with transaction():
        user = lock_account_of(mail.recipient)
        if user is None or not user.is_active:
            return False
        payload: dict[str, Any] = {"name": user.name}
        if user.is_invited:
            kind, purpose = EmailKind.INVITATION, TokenPurpose.INVITATION
            payload["invited_by"] = None  # now it was the person's own wish
        else:
            kind, purpose = EmailKind.PASSWORD_RESET, TokenPurpose.PASSWORD_RESET
        payload["token_id"] = str(issue_token(user, purpose))
        addressed = {"kind": kind, "payload": payload, "recipient": user.email, "user_id": user.id}
        db.session.execute(
            sa.update(OutboxEmail).where(OutboxEmail.id == mail.id).values(addressed),
            execution_options={"synchronize_session": False},
        )
    for name, value in addressed.items():  # of what was claimed, which no session knows
        setattr(mail, name, value)
    return True
