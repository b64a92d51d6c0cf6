"""Emails about a booking."""

from http import HTTPStatus
from uuid import UUID

from bookings_api.bookings import queries, services
from bookings_api.bookings.limits import guest, guest_mailbox, precondition
from bookings_api.bookings.routes.blueprint import blp
from bookings_api.bookings.schemas.bookings import EmailSchema
from bookings_api.database.listing import Listing
from bookings_api.errors import (
    BookingCancelled,
    BookingNotConfirmed,
    BookingNotFound,
    EventEnded,
    PermissionDenied,
    StaleVersion,
)
from bookings_api.http.authentication import current_actor
from bookings_api.http.idempotency import REPLAYED
from bookings_api.http.openapi.examples import CHANGED_AT
from bookings_api.http.rate_limiting.limits import by_account, successes
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import EmailStatus, OutboxEmail
from bookings_api.permissions import Action


@blp.route("/<uuid:booking_id>/emails", methods=["GET"])
@blp.doc(operationId="listBookingEmails")
@blp.login_required(with_key=Action.SEE_BOOKINGS)
@blp.problems(BookingNotFound)
@blp.listing(PageQuerySchema, EmailSchema)
def list_booking_emails(booking_id: UUID) -> Listing:
    """List the emails about a booking.

    Returns the newest emails first. You can list the emails about your own bookings and about bookings for events you
    manage. Sent and dropped emails are deleted after the retention period.
    """
    return queries.emails_of(current_actor, booking_id)


@blp.route("/<uuid:booking_id>/emails", methods=["POST"])
@blp.doc(operationId="resendConfirmation")
@blp.login_required(with_key=Action.MANAGE_BOOKINGS)
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.problems(PermissionDenied, BookingNotFound, BookingCancelled, BookingNotConfirmed, EventEnded, StaleVersion)
@blp.idempotent(EmailSchema, replay=lambda email: (HTTPStatus.ACCEPTED, {}))
@blp.limited("MAIL_RESEND_LIMIT", by=by_account("booking_id"), counts=successes)
@blp.limited("GUEST_MAIL_LIMIT", by=guest, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=guest_mailbox, counts=successes)
@blp.response(
    202,
    EmailSchema,
    headers=REPLAYED,
    example=EmailSchema.example(
        status=EmailStatus.PENDING.value, attempts=0, created_at=CHANGED_AT, sent_at=None, next_attempt_at=CHANGED_AT
    ),
)
def resend_confirmation(booking_id: UUID, request: IdempotentRequest | None) -> OutboxEmail:
    """Send a booking's confirmation again.

    The email contains the current details and goes to the current guest. The response describes the email, which is
    sent shortly afterwards.
    """
    return services.resend_confirmation(
        actor=current_actor, booking_id=booking_id, precondition=precondition(), request=request
    )
