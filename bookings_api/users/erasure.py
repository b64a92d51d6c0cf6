"""Deletes accounts. Erases the person's names and email addresses, but keeps their bookings."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from bookings_api.accounts.credentials import lock_verified_account
from bookings_api.accounts.memberships import memberships_of, settle_keys
from bookings_api.bookings.services import cancel_booking
from bookings_api.database.listing import folded
from bookings_api.database.transactions import Precondition, no_precondition, transaction
from bookings_api.errors import BookingsOpen, EventNotOpen, ResponsibleForEvents
from bookings_api.extensions import db
from bookings_api.mail import erasure
from bookings_api.models import (
    ACTIVE,
    ApiKey,
    Booking,
    Event,
    EventStatus,
    IdempotencyKey,
    Login,
    MemberRole,
    Membership,
    OneTimeToken,
    Organization,
    OutboxEmail,
    TeamMember,
    User,
)
from bookings_api.permissions import Actor
from bookings_api.users.own_account import require_password
from bookings_api.users.services import require_other_leaders

ERASED = "Deleted account"

# The maximum duration of a transaction that books tickets
LONGEST_BOOKING = timedelta(minutes=1)

# The response fields that contain an address, each with the field that contains the person's name
_ADDRESSES = {"email": "name", "guest_email": "guest_name", "contact_email": "contact_name", "recipient": "name"}
# Shorter names occur in almost every text.
_MIN_NAME = 3


def delete_account(
    *,
    actor: Actor,
    user: User,
    password: str,
    cancel_bookings: bool,
    precondition: Precondition = no_precondition,
) -> None:
    """Erase the account's personal data and prevent further logins.

    With `cancel_bookings`, first cancels all bookings that can still be cancelled. Also closes the account's
    organizations that have no other members and no upcoming or running events. Raises `WrongPassword`,
    `InvalidCredentials`, `BookingsOpen`, `ResponsibleForEvents`, `LastOwner` or `LastOrganizer`.
    """
    user_id, password_hash = user.id, user.password_hash
    require_password(user, password)
    precondition(user)
    _require_no_events(user_id)
    with transaction():
        _require_other_leaders(actor, user_id, _abandoned(actor, user_id))
    if cancel_bookings:
        for booking_id in _open_bookings(user_id):
            with suppress(EventNotOpen):  # the booking can no longer be cancelled
                cancel_booking(actor=actor, booking_id=booking_id)
    with transaction():
        abandoned = _abandoned(actor, user_id)
        _require_other_leaders(actor, user_id, abandoned)
        account = lock_verified_account(user_id, password_hash, password)
        precondition(account)
        _require_no_events(user_id)
        if open_bookings := _open_bookings(user_id):
            raise BookingsOpen(booking_ids=[str(booking_id) for booking_id in open_bookings])
        for membership in memberships_of(user_id):
            settle_keys(user_id, membership.organization_id)
        _close(abandoned)
        _erase(account)


def erase_late_bookings() -> None:
    """Erase the guest's name and email from bookings that were committed after the account was deleted.

    The transactions that created these bookings had read the account before the deletion.
    """
    placeholder = sa.func.concat("erased-", Booking.user_id, f"@{erasure.ERASED_DOMAIN}")
    is_late = (
        (User.id == Booking.user_id)
        & User.email.endswith(f"@{erasure.ERASED_DOMAIN}")
        & (Booking.created_at > User.updated_at - LONGEST_BOOKING)
        & (Booking.guest_email != placeholder)
    )
    late = db.session.scalars(sa.select(Booking.id).join(User, is_late).order_by(Booking.id)).all()
    _execute(sa.update(OutboxEmail).where(OutboxEmail.booking_id.in_(late)).values(erase_when_done=True))
    _execute(sa.update(Booking).where(Booking.id.in_(late)).values(guest_name=ERASED, guest_email=placeholder))


def _open_bookings(user_id: UUID) -> Sequence[UUID]:
    """Return the IDs of the account's bookings that are confirmed, held or waiting, and can still be cancelled."""
    ends = sa.func.greatest(Event.starts_at, Event.booking_closes_at)
    is_open = (Booking.user_id == user_id) & Booking.status.in_(ACTIVE) & (ends > sa.func.now())
    return db.session.scalars(sa.select(Booking.id).join(Event).where(is_open).order_by(Booking.id)).all()


def _require_no_events(user_id: UUID) -> None:
    events = sa.select(Event.id).where(Event.organizer_id == user_id, _is_running()).order_by(Event.id)
    if found := db.session.scalars(events).all():
        raise ResponsibleForEvents(event_ids=[str(event_id) for event_id in found])


def _is_running() -> sa.ColumnElement[bool]:
    return (Event.ends_at > sa.func.now()) & (Event.status != EventStatus.CANCELLED) & Event.deleted_at.is_(None)


def _require_other_leaders(actor: Actor, user_id: UUID, abandoned: Collection[UUID]) -> None:
    """Call `require_other_leaders` only if the account has rights in an organization, to avoid needless locks."""
    has_rights = sa.exists().where(Membership.user_id == user_id, Membership.role != MemberRole.USER)
    if db.session.scalars(sa.select(has_rights)).one():
        require_other_leaders(actor.tenancy, user_id, except_for=abandoned)


def _abandoned(actor: Actor, user_id: UUID) -> Sequence[UUID]:
    """Return the IDs of organizations whose only member is this account and that have no running or upcoming events.

    Invited people count as members. Customers do not.
    """
    if actor.tenancy.is_single:
        return ()
    others = aliased(Membership)
    has_others = sa.exists().where(
        others.organization_id == Membership.organization_id,
        others.user_id != user_id,
        others.role.is_not(None) | others.invited_as.is_not(None),
    )
    has_events = sa.exists().where(Event.organization_id == Membership.organization_id, _is_running())
    of_user = sa.select(Membership.organization_id).where(Membership.user_id == user_id, Membership.role.is_not(None))
    return db.session.scalars(of_user.where(~has_others, ~has_events)).all()


def _close(organization_ids: Collection[UUID]) -> None:
    """Revoke the organizations' API keys, and erase the organizations' names, which may contain personal names."""
    organizations = sa.update(Organization).where(Organization.id.in_(organization_ids))
    _execute(organizations.values(name="Deleted organization", version=Organization.version + 1))
    keys = sa.update(ApiKey).where(ApiKey.organization_id.in_(organization_ids), ApiKey.revoked_at.is_(None))
    _execute(keys.values(revoked_at=sa.func.now(), version=ApiKey.version + 1))


def _erase(user: User) -> None:
    placeholder = f"erased-{user.id}@{erasure.ERASED_DOMAIN}"
    # same lock order as in bookings: events, bookings, emails
    _erase_contact(user)
    _erase_bookings(user, placeholder)
    erasure.erase_person(user)
    _erase_responses(user, placeholder)
    for owned in (Login, OneTimeToken, TeamMember):
        _execute(sa.delete(owned).where(owned.user_id == user.id))
    _execute(sa.delete(OneTimeToken).where(sa.func.lower(OneTimeToken.new_email) == user.email.lower()))
    _execute(sa.delete(Membership).where(Membership.user_id == user.id))
    user.email, user.name, user.password_hash, user.email_verified_at = placeholder, None, None, None
    user.formerly = []
    user.is_active = False
    user.version += 1


def _erase_bookings(user: User, placeholder: str) -> None:
    """Erase the person's names and emails from their own bookings and from all bookings for their verified email.

    If another account made the booking, that account becomes the guest and gets all further emails. If an API key made
    the booking, its metadata is deleted, because it may describe the guest. The external ID is replaced only if it
    contains one of the guest's names or emails, because repeated requests need the original ID to find the booking.
    """
    own = Booking.user_id == user.id
    has_name, has_email = (
        sa.func.lower(column).in_(user.known_as) for column in (Booking.guest_name, Booking.guest_email)
    )
    email = sa.case((has_email, placeholder), else_=Booking.guest_email)
    _execute(sa.update(Booking).where(own, has_name | has_email).values(guest_name=ERASED, guest_email=email))
    if user.email_verified:
        buyer = sa.select(User).where(User.id == Booking.user_id).correlate(Booking)
        name, address = sa.func.coalesce(User.name, User.email), User.email
        _execute(
            sa.update(Booking)
            .where(sa.func.lower(Booking.guest_email) == user.email.lower())
            .values(
                client_metadata=None,
                external_id=sa.case(
                    (_names(user, Booking.external_id), sa.func.concat("erased-", sa.func.gen_random_uuid())),
                    else_=Booking.external_id,
                ),
                guest_name=sa.func.coalesce(buyer.with_only_columns(name).scalar_subquery(), ERASED),
                guest_email=sa.func.coalesce(buyer.with_only_columns(address).scalar_subquery(), placeholder),
            )
        )


def _names(user: User, text: Any) -> sa.ColumnElement[bool]:
    """Whether `text` contains one of the guest's names or emails, ignoring case, accents, spaces and punctuation.

    A very short name counts only if it is the whole text.
    """

    def bare(value: Any) -> sa.ColumnElement[str]:
        return sa.func.regexp_replace(folded(value), r"[\s_.:/+@-]", "", "g", type_=sa.Text)

    names = [bare(name) for name in (Booking.guest_name, *(sa.literal(name, sa.Text) for name in user.known_as))]
    contains = [(sa.func.length(name) >= _MIN_NAME) & (sa.func.strpos(bare(text), name) > 0) for name in names]
    return sa.or_(*contains, *((name != "") & (bare(text) == name) for name in names))


def _erase_contact(user: User) -> None:
    """Erase the person's name and email from the contacts of events."""
    is_contact = erasure.is_contact(user, Event.contact_name, Event.contact_email, Event.organizer_id == user.id)
    events = sa.update(Event).where(is_contact)
    _execute(events.values(contact_name=None, contact_email=None, version=Event.version + 1))


def _erase_responses(user: User, placeholder: str) -> None:
    """Delete the responses that are stored for the person's idempotency keys.

    If the person's email is verified, also erases it from the responses stored for other accounts and API keys.
    """
    _execute(sa.delete(IdempotencyKey).where(IdempotencyKey.actor_id == user.id))
    if not user.email_verified:
        return
    email, response = user.email.lower(), IdempotencyKey.response
    mentions = [sa.func.lower(response[member].as_string()) == email for member in _ADDRESSES]
    for stored in db.session.scalars(sa.select(IdempotencyKey).where(sa.or_(*mentions))):
        for address, name in _ADDRESSES.items():
            if str(stored.response.get(address)).lower() == email:
                stored.response = stored.response | _erased(stored.response, address, name, placeholder)


def _erased(response: dict[str, Any], address: str, name: str, placeholder: str) -> dict[str, Any]:
    """Return replacement values for the fields of a response that contain the person's data."""
    erased: dict[str, Any] = {address: None if address == "contact_email" else placeholder, name: None}
    if address == "guest_email":
        external_id = sa.select(Booking.external_id).where(Booking.id == UUID(response["id"]))
        erased |= {name: ERASED, "external_id": db.session.scalars(external_id).one_or_none(), "metadata": None}
    return {member: value for member, value in erased.items() if member in response}


def _execute(statement: sa.Update | sa.Delete) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})
