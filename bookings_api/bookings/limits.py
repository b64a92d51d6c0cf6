"""Rate limit keys for emails about bookings."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import flask

from bookings_api.bookings import queries
from bookings_api.errors import StaleVersion
from bookings_api.http.authentication import current_actor, current_key_hash, current_user_id
from bookings_api.http.conditional import if_match
from bookings_api.http.rate_limiting.limits import by_mailbox, mailbox_to_count
from bookings_api.idempotency import find_response
from bookings_api.models import Booking


def guest(
    body: dict[str, Any] | None = None,
    header: dict[str, str] | None = None,
    query: dict[str, bool] | None = None,
    *,
    booking_id: UUID | None = None,
    **_: Any,
) -> str | None:
    """Return the key for `GUEST_MAIL_LIMIT`: one per account and guest email (without `+` suffix).

    Returns None for API keys, for dry runs and repeated requests (which send no email), and for emails to the caller's
    own address, unless the address contains a `+`. Also sets `flask.g.guest_mailbox`, which `guest_mailbox` returns,
    and `flask.g.counted_guest_email`, which `precondition` checks.
    """
    flask.g.guest_mailbox, is_organizer = None, False
    if query and query["dry_run"]:
        return None
    address: str | None = (body or {}).get("guest_email")
    if address is None and booking_id is not None:
        address, is_organizer = queries.guest_of(booking_id, viewer=current_actor)
        flask.g.counted_guest_email = address
    mailbox, user_id = mailbox_to_count(address), current_user_id()
    if mailbox and body and header is not None and _is_repeat(body, header):
        return None
    flask.g.guest_mailbox = None if is_organizer and user_id else mailbox
    return by_mailbox(mailbox)


def _is_repeat(order: dict[str, Any], header: dict[str, str]) -> bool:
    """Whether the caller has already booked with this `Idempotency-Key` or `external_id`."""
    user_id, key_hash = current_user_id(), current_key_hash()
    key, external_id = header.get("key"), order.get("external_id")
    if key_hash is not None and (key or external_id):
        return queries.has_booked(key_hash, key=key, external_id=external_id)
    return bool(user_id and key and find_response(UUID(user_id), key))


def guest_mailbox(*args: Any, **kwargs: Any) -> str | None:
    """Return the key for `MAILBOX_LIMIT`: one per guest email (without `+` suffix), shared by all accounts and keys.

    Apply this limit below the limit by `guest`, which sets `flask.g.guest_mailbox`. Organizers who email a booking's
    current guest are exempt. Otherwise strangers could use up the limit and block the organizer's changes.
    """
    mailbox: str | None = flask.g.guest_mailbox
    return mailbox


def former_guest(changes: dict[str, Any], *, booking_id: UUID) -> str | None:
    """Return the rate limit key for the email to the former guest, or None if the request sets no `guest_email`."""
    if "guest_email" not in changes:
        return None
    former, _ = queries.guest_of(booking_id, viewer=current_actor)
    return by_mailbox(mailbox_to_count(former))


def precondition() -> Callable[[Booking], None]:
    """Return a function that checks a locked booking against `If-Match`.

    The function raises `StaleVersion` if the header does not match, or if the guest's email is no longer
    the one that `guest` counted towards its rate limit.
    """
    matches, counted = if_match(), flask.g.get("counted_guest_email")

    def check(booking: Booking) -> None:
        matches(booking)
        if counted not in {None, booking.guest_email}:
            raise StaleVersion

    return check
