"""Links with tokens, made when a mail is sent: the outbox itself holds no token."""

from typing import Any
from uuid import UUID

from flask import current_app

from bookings_api.models import MailKind
from bookings_api.single_use import token_of

_SETTINGS = {MailKind.INVITATION: "INVITATION_URL", MailKind.PASSWORD_RESET: "PASSWORD_RESET_URL"}


def links_for(kind: MailKind, facts: dict[str, Any]) -> dict[str, str]:
    """The token that `facts` name by its id, and the address that takes it; nothing for a mail without one."""
    if kind not in _SETTINGS:
        return {}
    token = token_of(UUID(facts["token_id"]))
    return {"token": token, "url": current_app.config[_SETTINGS[kind]].replace("{token}", token)}
