"""Queries that read and lock bookings."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from bookings_api.database.listing import Listing, ListQuery, Order, array_of, folded, is_one_of, search, words_in
from bookings_api.database.prepared import PLAN_ONCE, Prepared
from bookings_api.errors import BookingNotFound, PermissionDenied
from bookings_api.events.queries import get_event_for
from bookings_api.extensions import db
from bookings_api.models import (
    ApiKey,
    Booking,
    BookingStatus,
    EmailStatus,
    Event,
    IdempotencyKey,
    Login,
    OutboxEmail,
    Payment,
    User,
)
from bookings_api.models.api_key import is_usable
from bookings_api.models.user import is_logged_in
from bookings_api.permissions import Action, Actor, may, may_manage_booking, may_see_booking, reach_of_key

_OF_EVENT = Booking.event_id == sa.bindparam("event_id")
_status = sa.bindparam("status", type_=Booking.status.type)
_WITH_STATUS = Booking.status == _status

# An email that is being sent counts as pending. Dropped emails are ignored because the guest never received them.
_latest_email_status = (
    sa.select(sa.case((OutboxEmail.status == EmailStatus.SENDING, EmailStatus.PENDING), else_=OutboxEmail.status))
    .where(
        OutboxEmail.booking_id == Booking.id,
        sa.func.lower(OutboxEmail.recipient) == sa.func.lower(Booking.guest_email),
        OutboxEmail.status != EmailStatus.DROPPED,
    )
    .order_by(OutboxEmail.created_at.desc(), OutboxEmail.id.desc())
    .limit(1)
    .scalar_subquery()
)

# NULL if the login has ended
_user_of_login = (
    sa.select(User.id)
    .join(Login, Login.user_id == User.id)
    .where(Login.id == sa.bindparam("login_id", type_=sa.Uuid()), *is_logged_in())
    .scalar_subquery()
)
_OWN_FILTERS: dict[str, sa.ColumnElement[bool]] = {
    "status": _WITH_STATUS,
    "event_id": _OF_EVENT,
    "external_id": Booking.external_id == sa.bindparam("external_id"),
    "upcoming": Booking.event.has((Event.ends_at > sa.func.now()) == sa.bindparam("upcoming", type_=sa.Boolean)),
}
# IDs are UUIDv7 and grow with time, so the newest row has the largest ID.
_NEWEST_FIRST = Order(Booking.id, is_descending=True)
_BOOKINGS_OF_LOGIN = ListQuery(
    sa.select(Booking).where(Booking.user_id == _user_of_login),
    filters=_OWN_FILTERS,
    orders=[_NEWEST_FIRST],
    settings=PLAN_ONCE,
)
_BOOKINGS_OF_KEYS = ListQuery(
    sa.select(Booking).where(Booking.organization_id == sa.bindparam("organization_id")),
    filters=_OWN_FILTERS
    | {
        "event_ids": is_one_of(Booking.event_id, "event_ids"),
        "organizer_id": Booking.event.has(Event.organizer_id == sa.bindparam("organizer_id")),
    },
    orders=[_NEWEST_FIRST],
)
_BOOKINGS_FOR_EVENT = ListQuery(
    sa.select(Booking).where(_OF_EVENT),
    filters={
        # PostgreSQL evaluates the comparisons with `_status` while planning, and can then use the partial indexes
        "status": _WITH_STATUS
        & ((_status != BookingStatus.HELD) | Booking.is_held)
        & ((_status != BookingStatus.WAITLISTED) | Booking.is_waiting),
        **words_in(folded(sa.func.concat_ws(" ", Booking.guest_name, Booking.guest_email, Booking.reference))),
        "reference": Booking.reference == sa.func.upper(sa.bindparam("reference", type_=sa.String)),
        "refund_due": Booking.refund_due == sa.bindparam("refund_due", type_=sa.Boolean),
        "email_status": _latest_email_status == sa.bindparam("email_status"),
    },
    orders=[Order(Booking.id)],
)
_WAITING_LIST = ListQuery(
    sa.select(Booking).where(_OF_EVENT, Booking.is_waiting),
    filters={},
    orders=[Order(Booking.waitlisted_at, Booking.id)],
)
_PAYMENTS = ListQuery(
    sa.select(Payment).where(Payment.booking.has(_OF_EVENT)),
    filters={"refund_due": (Payment.amount_to_refund > 0) == sa.bindparam("refund_due", type_=sa.Boolean)},
    orders=[Order(Payment.id)],
)
_EMAILS_OF_BOOKING = ListQuery(
    sa.select(OutboxEmail).where(OutboxEmail.booking_id == sa.bindparam("booking_id")),
    filters={},
    orders=[Order(OutboxEmail.id, is_descending=True)],
)
_HAS_BOOKED = Prepared(
    "has_booked_with_key",
    sa.select(sa.literal_column("1")).where(
        is_usable(sa.bindparam("secret_hash", type_=sa.LargeBinary())),
        sa.or_(
            sa.exists().where(
                IdempotencyKey.actor_id == ApiKey.id, IdempotencyKey.key == sa.bindparam("key", type_=sa.Text())
            ),
            sa.exists().where(
                Booking.organization_id == ApiKey.organization_id,
                Booking.external_id == sa.bindparam("external_id", type_=sa.Text()),
            ),
        ),
    ),
)


def bookings_of(*, login_id: UUID, **filters: Any) -> Listing:
    """Return the bookings made by a login's account, newest first. The list is empty if the login has ended.

    The filters are those of `BookingQuerySchema`.
    """
    return _BOOKINGS_OF_LOGIN(login_id=login_id, **filters)


def bookings_made_with_keys(key: ApiKey, **filters: Any) -> Listing:
    """Return the bookings made with any of the organization's API keys, newest first.

    If `key` is restricted to certain events, returns only bookings for these events. The filters are those of
    `BookingQuerySchema`.
    """
    organization_id, event_ids, organizer_id = reach_of_key(key)
    only = None if event_ids is None else array_of(event_ids)
    return _BOOKINGS_OF_KEYS(organization_id=organization_id, event_ids=only, organizer_id=organizer_id, **filters)


def has_booked(secret_hash: bytes, *, key: str | None, external_id: str | None) -> bool:
    """Whether an API key has used this `Idempotency-Key` or its organization has a booking with this external ID."""
    return bool(_HAS_BOOKED(secret_hash=secret_hash, key=key, external_id=external_id))


def bookings_for(actor: Actor, event_id: UUID, *, q: str | None = None, **filters: Any) -> Listing:
    """Return an event's bookings, oldest first. The filters are those of `AttendeeQuerySchema`.

    Raises `EventNotFound` or `PermissionDenied`.
    """
    event = get_event_for(actor, Action.SEE_BOOKINGS, event_id)
    return _BOOKINGS_FOR_EVENT(event_id=event.id, **search(q), **filters)


def waiting_list_of(actor: Actor, event_id: UUID) -> Listing:
    """Return the bookings on an event's waiting list, in order of their position.

    Raises `EventNotFound` or `PermissionDenied`.
    """
    return _WAITING_LIST(event_id=get_event_for(actor, Action.SEE_BOOKINGS, event_id).id)


def payments_for(actor: Actor, event_id: UUID, **filters: Any) -> Listing:
    """Return the payments for an event's bookings, oldest first. The filters are those of `PaymentQuerySchema`.

    Includes those of a deleted event, because they must be refunded. Raises `EventNotFound` or `PermissionDenied`.
    """
    event = db.session.get(Event, event_id)
    if event is None or event.deleted_at is None or not may(actor, Action.SEE_BOOKINGS, event):
        event = get_event_for(actor, Action.SEE_BOOKINGS, event_id)
    return _PAYMENTS(event_id=event.id, **filters)


def emails_of(actor: Actor, booking_id: UUID) -> Listing:
    """Return the emails about a booking, newest first. Raises `BookingNotFound`."""
    return _EMAILS_OF_BOOKING(booking_id=get_booking(booking_id, viewer=actor).id)


def get_booking(booking_id: UUID, *, viewer: Actor) -> Booking:
    """Return a booking with its event. Raises `BookingNotFound` unless `viewer` may see the booking."""
    query = sa.select(Booking).where(Booking.id == booking_id).options(joinedload(Booking.event))
    booking = db.session.scalars(query).one_or_none()
    if booking is None or not may_see_booking(viewer, booking, booking.event):
        raise BookingNotFound
    return booking


def guest_of(booking_id: UUID, *, viewer: Actor) -> tuple[str, bool]:
    """Return the guest's email, and whether `viewer` may manage the event's bookings. Raises `BookingNotFound`."""
    booking = get_booking(booking_id, viewer=viewer)
    return booking.guest_email, may(viewer, Action.MANAGE_BOOKINGS, booking.event)


def lock_booking(actor: Actor, booking_id: UUID, *, event: Event) -> Booking:
    """Lock a booking of a locked event and return its current state.

    Raises `PermissionDenied` if `actor` may not change the booking.
    """
    locked = sa.select(Booking).where(Booking.id == booking_id).with_for_update(of=Booking)
    locked = locked.options(joinedload(Booking.user))
    booking = db.session.scalars(locked.execution_options(populate_existing=True)).one()
    if not may_manage_booking(actor, booking, event):
        raise PermissionDenied("You can see this booking but cannot change it.")
    return booking
