"""Collects all personal data in an account."""

from typing import Any

import sqlalchemy as sa

from bookings_api.extensions import db
from bookings_api.models import (
    ApiKey,
    Booking,
    Event,
    Login,
    Membership,
    Organization,
    OutboxEmail,
    Payment,
    TeamMember,
    User,
)


def personal_data(user: User) -> dict[str, Any]:
    """Return the fields of `ExportSchema`, except `account`.

    If the account's email is verified, includes bookings that others made for this email and all emails sent to it.
    Payments for bookings that another account made belong to that account.
    """
    bookings = Booking.user_id == user.id
    emails = (OutboxEmail.user_id == user.id) | OutboxEmail.booking_id.in_(sa.select(Booking.id).where(bookings))
    if user.email_verified:
        bookings |= sa.func.lower(Booking.guest_email) == user.email.lower()
        emails |= sa.func.lower(OutboxEmail.recipient) == user.email.lower()
    return {
        "memberships": _rows(
            sa.select(
                Membership.organization_id,
                Organization.name.label("organization"),
                Membership.role,
                Membership.invited_as,
                Membership.is_active,
                Membership.created_at,
            )
            .join(Organization, Organization.id == Membership.organization_id)
            .where(Membership.user_id == user.id)
            .order_by(Membership.created_at)
        ),
        "team_roles": _rows(
            sa.select(TeamMember.event_id, TeamMember.role, TeamMember.is_accepted, TeamMember.created_at)
            .where(TeamMember.user_id == user.id)
            .order_by(TeamMember.created_at)
        ),
        "logins": _rows(
            sa.select(Login.id, Login.created_at, Login.expires_at, Login.revoked_at)
            .where(Login.user_id == user.id)
            .order_by(Login.id)
        ),
        "bookings": _rows(
            sa.select(
                Booking.id,
                Booking.reference,
                Booking.event_id,
                Booking.ticket_count,
                Booking.items,
                Booking.external_id,
                Booking.client_metadata.label("metadata"),
                Booking.guest_name,
                Booking.guest_email,
                Booking.status,
                Booking.amount_due,
                Booking.currency,
                Booking.held_until,
                Booking.position,
                Booking.refund_due.label("refund_due"),
                Booking.created_at,
                Booking.confirmed_at,
                Booking.cancelled_at,
            )
            .where(bookings)
            .order_by(Booking.id)
        ),
        "payments": _rows(
            sa.select(
                Payment.id,
                Payment.booking_id,
                Payment.provider,
                Payment.reference,
                Payment.amount,
                Payment.currency,
                Payment.refusal,
                Payment.amount_to_refund,
                Payment.created_at,
            )
            .join(Payment.booking)
            .where(bookings, (Booking.user_id == user.id) | Booking.user_id.is_(None))
            .order_by(Payment.id)
        ),
        "emails": _rows(
            sa.select(
                OutboxEmail.id,
                OutboxEmail.kind,
                OutboxEmail.recipient,
                OutboxEmail.booking_id,
                OutboxEmail.status,
                OutboxEmail.created_at,
                OutboxEmail.sent_at,
            )
            .where(emails)
            .order_by(OutboxEmail.id)
        ),
        "event_ids": db.session.scalars(
            sa.select(Event.id).where(Event.organizer_id == user.id).order_by(Event.id)
        ).all(),
        "api_keys": _rows(
            sa.select(ApiKey.id, ApiKey.organization_id, ApiKey.name, ApiKey.scopes, ApiKey.created_at)
            .where(ApiKey.created_by_id == user.id)
            .order_by(ApiKey.id)
        ),
    }


def _rows(statement: sa.Executable) -> list[dict[str, Any]]:
    return [dict(row) for row in db.session.execute(statement).mappings()]
