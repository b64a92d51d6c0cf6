"""Links with tokens, made when a mail is sent: the outbox itself holds no token."""

from typing import Any
from uuid import UUID

from flask import current_app

from bookings_api.accounts.one_time_tokens import token_of
from bookings_api.models import EmailKind

_SETTINGS = {EmailKind.INVITATION: "INVITATION_URL", EmailKind.PASSWORD_RESET: "PASSWORD_RESET_URL"}


def links_for(kind: EmailKind, payload: dict[str, Any]) -> dict[str, str]:
    """The token that `payload` name by its id, and the address that takes it; nothing for a mail without one."""
    if kind not in _SETTINGS:
        return {}
    token = token_of(UUID(payload["token_id"]))
    return {"token": token, "url": current_app.config[_SETTINGS[kind]].replace("{token}", token)}
