"""Drops or updates outdated emails just before they are sent.

Cancellations are always sent. The email to a former guest is dropped if no earlier email about the booking reached
them. All other emails are compared with the current data. An outdated email about a booking can be dropped, because
the change that made the email outdated also causes a later email with the current data.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from bookings_api.database.prepared import Prepared, read_row
from bookings_api.models import (
    ACTIVE,
    UNSENT,
    Booking,
    BookingStatus,
    EmailKind,
    EmailStatus,
    Event,
    EventBroadcast,
    Membership,
    OneTimeToken,
    OutboxEmail,
    TeamMember,
)
from bookings_api.models.payloads import event_payload

# An email of one of these kinds is outdated if the booking has another status.
_STATUSES = {
    EmailKind.BOOKING_CONFIRMED: (BookingStatus.CONFIRMED,),
    EmailKind.BOOKING_CHANGED: (BookingStatus.CONFIRMED,),
    EmailKind.BOOKING_WAITLISTED: (BookingStatus.WAITLISTED,),
    EmailKind.BOOKING_OFFERED: (BookingStatus.HELD,),
    EmailKind.BOOKING_EXPIRED: (BookingStatus.EXPIRED,),
    EmailKind.EVENT_CHANGED: ACTIVE,
    EmailKind.EVENT_REMINDER: (BookingStatus.CONFIRMED,),
}
# The first email about a booking to each guest has one of these kinds.
_FIRST = (EmailKind.BOOKING_CONFIRMED, EmailKind.BOOKING_WAITLISTED, EmailKind.BOOKING_OFFERED)
_DESCRIBE_BOOKING = (*_FIRST, EmailKind.BOOKING_CHANGED)
_VERSIONS = ("booking_version", "event_version")
_DETAILS = ("timezone", "location", "event_title")
_EVENT_COLUMNS = sa.inspect(Event).local_table.c
_WITH_TOKEN = (
    EmailKind.INVITATION,
    EmailKind.TEAM_INVITATION,
    EmailKind.PASSWORD_RESET,
    EmailKind.EMAIL_VERIFICATION,
    EmailKind.EMAIL_CHANGE,
)
# The column of `Membership` that each kind of email announces
_ANNOUNCES = {EmailKind.ROLE_CHANGED: "role", EmailKind.ACCESS_CHANGED: "is_active"}

_later = aliased(OutboxEmail)
_email_id = sa.bindparam("email_id", type_=sa.Uuid())
_recipient = sa.bindparam("recipient", type_=sa.String())
# Compares versions first, because IDs contain the time of the machine that wrote the email.
_described_later = sa.exists().where(
    _later.booking_id == Booking.id,
    sa.func.lower(_later.recipient) == sa.func.lower(_recipient),
    sa.tuple_(*(_later.payload[name].astext.cast(sa.Integer) for name in _VERSIONS), _later.id)
    > sa.tuple_(*(sa.bindparam(name, type_=sa.Integer()) for name in _VERSIONS), _email_id),
    _later.kind.in_([sa.literal_column(f"'{kind}'") for kind in _DESCRIBE_BOOKING]),
    _later.status.in_([sa.literal_column(f"'{status}'") for status in (*UNSENT, EmailStatus.SENT)]),
)
_announced_later = sa.exists().where(
    EventBroadcast.event_id == Event.id,
    EventBroadcast.event_version > sa.bindparam("event_version", type_=sa.Integer()),
)
_BOOKING = Prepared(
    "booking_of_email",
    sa.select(
        Booking.status,
        Booking.version,
        Booking.held_until,
        sa.func.coalesce(Booking.held_until <= sa.func.now(), sa.false()),
        sa.func.lower(_recipient) == sa.func.lower(Booking.guest_email),
        _described_later,
        _announced_later,
        *_EVENT_COLUMNS,
    )
    .select_from(Booking)
    .join(Event, Event.id == Booking.event_id)
    .where(Booking.id == sa.bindparam("booking_id", type_=sa.Uuid())),
)
_OTHERS = Prepared(
    "other_emails_about_booking",
    sa.select(OutboxEmail.kind, OutboxEmail.status).where(
        OutboxEmail.booking_id == sa.bindparam("booking_id", type_=sa.Uuid()),
        sa.func.lower(OutboxEmail.recipient) == sa.func.lower(_recipient),
        OutboxEmail.id != _email_id,
    ),
)
_TOKEN = Prepared(
    "token_of_email",
    sa.select(OneTimeToken.id).where(
        OneTimeToken.id == sa.bindparam("token_id", type_=sa.Uuid()), OneTimeToken.expires_at > sa.func.now()
    ),
)
_MEMBERSHIP = Prepared(
    "membership_of_email",
    sa.select(Membership.role, Membership.is_active).where(
        Membership.user_id == sa.bindparam("user_id", type_=sa.Uuid()),
        Membership.organization_id == sa.bindparam("organization_id", type_=sa.Uuid()),
    ),
)
# The account's role in the event's team, or `organizer`. Returns no row if the event is deleted.
_TEAM_ROLE = Prepared(
    "team_role_of_email",
    sa.select(
        sa.case((Event.organizer_id == sa.bindparam("user_id", type_=sa.Uuid()), "organizer"), else_=TeamMember.role)
    )
    .select_from(Event)
    .outerjoin(
        TeamMember,
        (TeamMember.event_id == Event.id)
        & (TeamMember.user_id == sa.bindparam("user_id", type_=sa.Uuid()))
        & TeamMember.is_accepted,
    )
    .where(Event.id == sa.bindparam("event_id", type_=sa.Uuid()), Event.deleted_at.is_(None)),
)


def bring_up_to_date(email: OutboxEmail) -> str | None:
    """Compare a claimed email with the current data. Returns why the email is outdated, or None if it must be sent.

    Updates the event's details in emails that describe a booking. Otherwise the guest would have outdated details until
    the notice of the event's change arrives, which is sent later. Also updates the deadline of an offer.
    """
    if email.booking_id and email.kind in _STATUSES:
        return _changed_booking(email, email.booking_id)
    if email.booking_id and email.kind is EmailKind.BOOKING_REASSIGNED:
        return _unknown_booking(email, email.booking_id)
    # a password reset has no token before its account is looked up
    token_id = email.payload.get("token_id") if email.kind in _WITH_TOKEN else None
    if token_id and not _TOKEN(token_id=UUID(token_id)):
        return "The token was used, replaced or revoked, or has expired."
    if (field := _ANNOUNCES.get(email.kind)) and (organization_id := email.payload.get("organization_id")):
        [(role, is_active)] = _MEMBERSHIP(user_id=email.user_id, organization_id=UUID(organization_id))
        if email.payload[field] != {"role": role, "is_active": is_active}[field]:
            return "The account has changed."
    if email.kind is EmailKind.TEAM_CHANGED:
        roles = _TEAM_ROLE(user_id=email.user_id, event_id=UUID(email.payload["event_id"]))
        if roles != [(email.payload["role"],)]:
            return "The team has changed."
    return None


def _unknown_booking(email: OutboxEmail, booking_id: UUID) -> str | None:
    others = _OTHERS(booking_id=booking_id, recipient=email.recipient, email_id=email.id)
    was_reached = any(status == EmailStatus.SENT for _, status in others)
    # if the first email is missing, it was sent and then deleted after the retention period
    has_first = any(kind in _FIRST for kind, _ in others)
    return "No email about the booking reached this address." if has_first and not was_reached else None


def _changed_booking(email: OutboxEmail, booking_id: UUID) -> str | None:
    kind, payload = email.kind, email.payload
    versions = {name: payload.get(name) for name in _VERSIONS}
    [row] = _BOOKING(booking_id=booking_id, email_id=email.id, recipient=email.recipient, **versions)
    status, version, held_until, is_hold_over, is_recipient, is_described_later, is_announced_later, *columns = row
    is_guest = payload["reference"] is not None  # otherwise the recipient booked for other people
    times = [datetime.fromisoformat(payload[name]) for name in ("starts_at", "ends_at")]
    event = read_row(Event, columns)
    details = [version, event.starts_at, event.ends_at, event.timezone, event.location, event.title]
    is_changed = details != [payload.get("booking_version"), *times, *(payload[name] for name in _DETAILS)]
    if kind in _DESCRIBE_BOOKING:
        email.payload |= event_payload(event)
    is_offer = kind is EmailKind.BOOKING_OFFERED
    if is_offer and held_until:
        email.payload["held_until"] = held_until.isoformat()
    reasons = {
        "The booking was cancelled.": is_guest and status == BookingStatus.CANCELLED,
        "The status of the booking has changed.": is_guest and status not in _STATUSES[kind],
        "The offer has expired.": is_offer and is_hold_over,
        "The booking now has another guest.": is_guest and not is_recipient,
        "A later email describes the booking.": kind in _DESCRIBE_BOOKING and is_described_later,
        "A later email describes the event.": kind is EmailKind.EVENT_CHANGED and is_announced_later,
        "The booking or the event has changed.": kind is EmailKind.EVENT_REMINDER and is_changed,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
