"""`/bookings`: booking tickets, and one's own bookings."""

from typing import Any
from uuid import UUID

import flask
import sqlalchemy as sa
from werkzeug.http import quote_etag

from bookings_api.bookings import queries, services
from bookings_api.bookings.idempotency import Once
from bookings_api.bookings.schemas import (
    BookingChangeSchema,
    BookingCreateSchema,
    BookingQuerySchema,
    BookingSchema,
)
from bookings_api.errors import (
    BookingCancelled,
    BookingNotFound,
    EventNotFound,
    EventNotOpen,
    IdempotencyKeyReused,
    NotAllowed,
    RequestInFlight,
    SoldOut,
    TooManyTickets,
)
from bookings_api.http.authentication import current_user
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import if_match
from bookings_api.http.idempotency import REPLAYED, REPLAYED_HEADER, IdempotencyKeySchema, request_hash
from bookings_api.models import Booking

blp = Blueprint("bookings", __name__, url_prefix="/bookings", description="Tickets of the logged-in account")


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createBooking")
@blp.login_required()
@blp.problems(EventNotFound, EventNotOpen, SoldOut, TooManyTickets, RequestInFlight, IdempotencyKeyReused)
@blp.arguments(BookingCreateSchema)
@blp.arguments(IdempotencyKeySchema, location="headers")
@blp.response(201, BookingSchema, headers=LOCATION | REPLAYED)
def create_booking(order: dict[str, Any], header: dict[str, str]) -> Any:
    """Book tickets for an event; the guest gets a confirmation by mail.

    With an `Idempotency-Key` the request may be sent again, after a timeout for example, and is done once.
    """
    key = header.get("key")
    if key is None:
        booking = services.book_tickets(user=current_user, **order)
        return booking, _location(booking.id)
    once = Once(key, request_hash(order), BookingSchema().dump)
    answer, is_replayed = services.book_tickets_once(user=current_user, once=once, **order)
    # a replayed answer is history: its version may not be the present one
    tag = {REPLAYED_HEADER: "true"} if is_replayed else {"ETag": quote_etag(str(answer["version"]))}
    return flask.make_response(answer, 201, _location(UUID(answer["id"])) | tag)


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listBookings")
@blp.login_required()
@blp.listing(BookingQuerySchema, BookingSchema)
def list_bookings(**filters: Any) -> sa.Select[Any]:
    """List one's own bookings, the newest first."""
    return queries.bookings_of(current_user, **filters)


@blp.route("/<uuid:booking_id>", methods=["GET"])
@blp.doc(operationId="getBooking")
@blp.login_required()
@blp.if_none_match()
@blp.problems(BookingNotFound)
@blp.response(200, BookingSchema)
def get_booking(booking_id: UUID) -> Booking:
    """Get one booking: one's own, or one for an event that one organizes."""
    return queries.get_booking(booking_id, viewer=current_user)


@blp.route("/<uuid:booking_id>", methods=["PATCH"])
@blp.doc(operationId="changeBooking")
@blp.login_required()
@blp.if_match()
@blp.problems(BookingNotFound, NotAllowed, BookingCancelled, EventNotOpen, SoldOut, TooManyTickets)
@blp.arguments(BookingChangeSchema)
@blp.response(200, BookingSchema)
def change_booking(changes: dict[str, Any], booking_id: UUID) -> Booking:
    """Change ticket count or guest of one's own booking; the guest is told by mail."""
    return services.change_booking(user=current_user, booking_id=booking_id, changes=changes, precondition=if_match())


@blp.route("/<uuid:booking_id>", methods=["DELETE"])
@blp.doc(operationId="cancelBooking")
@blp.login_required()
@blp.if_match()
@blp.problems(BookingNotFound, NotAllowed, EventNotOpen)
@blp.response(200, BookingSchema)
def cancel_booking(booking_id: UUID) -> Booking:
    """Cancel one's own booking; its tickets are free again. A second time answers the same."""
    return services.cancel_booking(user=current_user, booking_id=booking_id, precondition=if_match())


def _location(booking_id: UUID) -> dict[str, str]:
    return {"Location": flask.url_for("bookings.get_booking", booking_id=booking_id)}
