"""Builds the links in emails about accounts. Tokens are derived when an email is sent and never stored in the outbox.

A password reset is queued for the address as typed, even if no account has the address. Therefore neither the response
nor its timing reveals which addresses have accounts. The worker looks up the account when it sends the email.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import current_app

from bookings_api.accounts.locks import lock_account_by_email
from bookings_api.accounts.memberships import name_in_invitation, pending_invitation, pending_team_invitation
from bookings_api.accounts.one_time_tokens import issue_token, token_of
from bookings_api.database.transactions import transaction
from bookings_api.extensions import db
from bookings_api.models import EmailKind, OutboxEmail, TokenPurpose

_URL_SETTINGS = {
    EmailKind.INVITATION: "INVITATION_URL",
    EmailKind.TEAM_INVITATION: "INVITATION_URL",
    EmailKind.PASSWORD_RESET: "PASSWORD_RESET_URL",
    EmailKind.EMAIL_VERIFICATION: "VERIFICATION_URL",
    EmailKind.EMAIL_CHANGE: "EMAIL_CHANGE_URL",
}


def links_for(kind: EmailKind, payload: dict[str, Any]) -> dict[str, str]:
    """Return the template variables `token` and `url`, or an empty dict for emails without a link."""
    if kind not in _URL_SETTINGS:
        return {}
    token = token_of(UUID(payload["token_id"]))
    return {"token": token, "url": current_app.config[_URL_SETTINGS[kind]].replace("{token}", token)}


def needs_account(email: OutboxEmail) -> bool:
    """Whether this is a password reset whose account has not been looked up yet."""
    return email.kind is EmailKind.PASSWORD_RESET and "token_id" not in email.payload


def resolve_account(email: OutboxEmail) -> bool:
    """Look up the account for a password-reset email that a worker has claimed, and issue a token.

    If the person has a pending invitation and no password, replaces the email with a new invitation, because the
    earlier token may have expired. Commits the token, so that later attempts to send the email use the same token.
    Returns False if no active account has the address.
    """
    with transaction():
        user = lock_account_by_email(email.recipient)
        if user is None or not user.is_active:
            return False
        payload: dict[str, Any] = {"name": user.name, "invited_by": None}
        kind, purpose, subject_id = EmailKind.PASSWORD_RESET, TokenPurpose.PASSWORD_RESET, None
        if user.is_invited and (pending := pending_invitation(user.id)):
            kind, purpose, subject_id = EmailKind.INVITATION, TokenPurpose.INVITATION, pending.organization_id
            payload |= {"name": pending.invited_name, "organization": name_in_invitation(subject_id)}
        elif user.is_invited and (invitation := pending_team_invitation(user.id)):
            member, event = invitation
            kind, purpose, subject_id = EmailKind.TEAM_INVITATION, TokenPurpose.INVITATION, event.id
            payload |= {"role": member.role.value, "event_title": event.title}
        payload["token_id"] = str(issue_token(user, purpose, subject_id=subject_id))
        columns = {"kind": kind, "payload": payload, "recipient": user.email, "user_id": user.id}
        db.session.execute(
            sa.update(OutboxEmail).where(OutboxEmail.id == email.id).values(columns),
            execution_options={"synchronize_session": False},
        )
    vars(email).update(columns)
    return True
