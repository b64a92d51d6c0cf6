"""Confirm and extend holds."""

from typing import Any
from uuid import UUID

from bookings_api.bookings import services
from bookings_api.bookings.payments import ReportedPayment, confirm_booking
from bookings_api.bookings.routes.blueprint import blp
from bookings_api.bookings.schemas.bookings import BookingSchema, priced_example
from bookings_api.bookings.schemas.payments import ConfirmationSchema
from bookings_api.errors import (
    AlreadyExtended,
    AlreadyPaid,
    BookingCancelled,
    BookingNotFound,
    BookingNotHeld,
    EventNotOpen,
    HoldExpired,
    OthersWaiting,
    PaymentMismatch,
    PaymentRequired,
    PermissionDenied,
)
from bookings_api.http.authentication import current_actor
from bookings_api.http.conditional import if_match
from bookings_api.http.openapi.examples import BOOKED_AT, EXTENDED_UNTIL
from bookings_api.http.rate_limiting.limits import by_account
from bookings_api.models import Booking, BookingStatus
from bookings_api.permissions import Action


@blp.route("/<uuid:booking_id>/confirm", methods=["POST"])
@blp.doc(operationId="confirmBooking")
@blp.login_required(with_key=Action.MANAGE_BOOKINGS)
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.if_match()
@blp.problems(
    PermissionDenied,
    BookingNotFound,
    PaymentRequired,
    PaymentMismatch,
    AlreadyPaid,
    BookingCancelled,
    HoldExpired,
    OthersWaiting,
)
@blp.arguments(ConfirmationSchema)
@blp.response(200, BookingSchema, example=priced_example(version=2, updated_at=BOOKED_AT))
def confirm(body: dict[str, Any], booking_id: UUID) -> Booking:
    """Confirm a held booking.

    The guest gets a confirmation by email. If no amount is due, the buyer can confirm the booking. Otherwise, only the
    event's organizers and API keys can confirm it, and must send the payment. Repeating the request with the same
    payment changes nothing. It returns the same status code, with the current state of the booking.

    After the hold has expired, the booking is confirmed if its tickets are still available and, if they are free, still
    on sale. After the event has ended, no booking is confirmed.

    A payment cannot confirm the booking if the tickets are gone, the amount or currency is wrong, or the booking is
    cancelled, already confirmed or on the waiting list. The response is then 409 with `refund_due` true: the payment is
    recorded and must be refunded. If `refund_due` is false, the payment was reported before, for another booking or
    with a different amount or currency, and nothing is recorded. If the response is 412, the payment is not recorded.
    Fetch the booking, and send the payment again.
    """
    reported = body.get("payment")
    payment = ReportedPayment(**reported) if reported else None
    return confirm_booking(actor=current_actor, booking_id=booking_id, payment=payment, precondition=if_match())


@blp.route("/<uuid:booking_id>/extend", methods=["POST"])
@blp.doc(operationId="extendBooking")
@blp.login_required(with_key=Action.MANAGE_BOOKINGS)
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.if_match()
@blp.problems(
    PermissionDenied, BookingNotFound, BookingCancelled, HoldExpired, EventNotOpen, BookingNotHeld, AlreadyExtended
)
@blp.response(
    200,
    BookingSchema,
    example=priced_example(status=BookingStatus.HELD.value, version=2, updated_at=BOOKED_AT, held_until=EXTENDED_UNTIL),
)
def extend(booking_id: UUID) -> Booking:
    """Extend a held booking.

    Moves `held_until` by the original duration of the hold. This is possible once.
    """
    return services.extend_hold(actor=current_actor, booking_id=booking_id, precondition=if_match())
