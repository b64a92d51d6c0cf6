"""Erases the names and email addresses of deleted accounts from the outbox.

Unsent emails about bookings keep the address, because the person must still learn about cancellations. `finish` erases
the address once such an email has been sent, dropped or failed. The emails themselves are kept until the retention
period ends, because `flask audit` checks that none are missing.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from bookings_api.database.transactions import require_transaction
from bookings_api.extensions import db
from bookings_api.models import UNSENT, Booking, EmailKind, EmailStatus, Event, EventBroadcast, OutboxEmail, User

ERASED_DOMAIN = "erased.invalid"

_INVITATIONS = (EmailKind.INVITATION, EmailKind.TEAM_INVITATION)
_IS_UNSENT = OutboxEmail.status.in_(UNSENT)
_BUYER = {"buyer_name": None, "buyer_email": None}
_CONTACT = {"contact_name": None, "contact_email": None}
_RECIPIENT = {"name": None, "guest_name": None, "invited_by": None, **_BUYER}


def erase_person(user: User) -> None:
    """Erase an account's names and addresses from all emails, and drop pending emails about it. Lock the account first.

    Unsent emails to the person keep the address until `finish` erases it. If the account's address was never
    verified, emails that other accounts caused keep it, because it may belong to another person.
    """
    require_transaction()
    email, payload = user.email.lower(), OutboxEmail.payload
    is_about_account = (OutboxEmail.user_id == user.id) & OutboxEmail.booking_id.is_(None)
    is_own, recipient = OutboxEmail.user_id == user.id, sa.func.lower(OutboxEmail.recipient)
    is_addressed = is_own & recipient.in_(user.known_as)
    if user.email_verified:
        is_addressed |= recipient == email
    # the person no longer needs emails about the account
    is_pending = OutboxEmail.status == EmailStatus.PENDING
    attempts = sa.func.greatest(1, OutboxEmail.attempts)
    _update(is_about_account & is_pending, status=EmailStatus.DROPPED, attempts=attempts)
    is_theirs = is_about_account | is_addressed
    _update(is_theirs & _IS_UNSENT, erase_when_done=True)
    _erase_recipient(is_theirs & ~_IS_UNSENT)

    buyer = sa.func.lower(payload["buyer_email"].astext)
    is_buyer = is_own & buyer.in_(user.known_as)
    if user.email_verified:
        is_buyer |= buyer == email
    _update(is_buyer, payload=_with(payload, _BUYER))
    is_named = is_own & sa.func.lower(payload["guest_name"].astext).in_(user.known_as)
    _update(is_named & ~_IS_UNSENT, payload=_with(payload, {"guest_name": None}))
    their_events = sa.select(Event.id).where(Event.organizer_id == user.id)
    of_their_events = OutboxEmail.booking_id.in_(sa.select(Booking.id).where(Booking.event_id.in_(their_events)))
    _update(_names_contact(user, payload, of_their_events), payload=_with(payload, _CONTACT))
    broadcast = EventBroadcast.payload
    is_contact = _names_contact(user, broadcast, EventBroadcast.event_id.in_(their_events))
    _execute(sa.update(EventBroadcast).where(is_contact).values(payload=_with(broadcast, _CONTACT)))
    invited = OutboxEmail.kind.in_(_INVITATIONS) & sa.func.lower(payload["invited_by"].astext).in_(user.known_as)
    _update(invited, payload=_with(payload, {"invited_by": None}))


def finish() -> None:
    """Erase the addresses that `erase_person` kept, if the emails have since been sent, dropped or failed."""
    require_transaction()
    _erase_recipient(OutboxEmail.erase_when_done & ~_IS_UNSENT)


def is_contact(user: User, name: Any, email: Any, is_of_their_event: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition that `user` is an event's contact.

    For events that the user organizes, any of the user's names and addresses matches. For other events, only the user's
    verified address matches.
    """
    is_theirs = sa.or_(*(sa.func.lower(column).in_(user.known_as) for column in (name, email))) & is_of_their_event
    return is_theirs | (sa.func.lower(email) == user.email.lower()) if user.email_verified else is_theirs


def _names_contact(user: User, payload: Any, is_of_their_event: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return is_contact(user, payload["contact_name"].astext, payload["contact_email"].astext, is_of_their_event)


def _erase_recipient(condition: sa.ColumnElement[bool]) -> None:
    """Erase the recipients of the matching emails. Marks failed emails as dropped, so that they are never retried."""
    _update(
        condition,
        recipient=sa.func.concat("erased-", OutboxEmail.id, f"@{ERASED_DOMAIN}"),
        payload=_with(OutboxEmail.payload, _RECIPIENT),
        last_error=None,
        status=sa.case((OutboxEmail.status == EmailStatus.FAILED, EmailStatus.DROPPED), else_=OutboxEmail.status),
        erase_when_done=False,
    )


def _with(payload: Any, changes: dict[str, Any]) -> sa.ColumnElement[Any]:
    merged: sa.ColumnElement[Any] = payload.concat(sa.cast(changes, JSONB))
    return merged


def _update(condition: sa.ColumnElement[bool], **values: Any) -> None:
    _execute(sa.update(OutboxEmail).where(condition).values(values))


def _execute(statement: sa.Update) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
