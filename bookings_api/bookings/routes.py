"""`/bookings`: booking tickets, and one's own bookings."""

from typing import Any
from uuid import UUID

import flask
import sqlalchemy as sa

from bookings_api.bookings import queries, services
from bookings_api.bookings.schemas import BookingCreateSchema, BookingSchema
from bookings_api.errors import BookingNotFound, EventNotFound, EventNotOpen, SoldOut, TooManyTickets
from bookings_api.http.authentication import current_user
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.models import Booking

blp = Blueprint("bookings", __name__, url_prefix="/bookings", description="Tickets of the logged-in account")


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createBooking")
@blp.login_required()
@blp.problems(EventNotFound, EventNotOpen, SoldOut, TooManyTickets)
@blp.arguments(BookingCreateSchema)
@blp.response(201, BookingSchema, headers=LOCATION)
def create_booking(order: dict[str, Any]) -> tuple[Booking, dict[str, str]]:
    """Book tickets for an event; the guest gets a confirmation by mail."""
    booking = services.book_tickets(user=current_user, **order)
    return booking, {"Location": flask.url_for("bookings.get_booking", booking_id=booking.id)}


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listBookings")
@blp.login_required()
@blp.listing(PageQuerySchema, BookingSchema)
def list_bookings() -> sa.Select[Any]:
    """List one's own bookings, the newest first."""
    return queries.bookings_of(current_user)


@blp.route("/<uuid:booking_id>", methods=["GET"])
@blp.doc(operationId="getBooking")
@blp.login_required()
@blp.problems(BookingNotFound)
@blp.response(200, BookingSchema)
def get_booking(booking_id: UUID) -> Booking:
    """Get one booking: one's own, or one for an event that one organizes."""
    return queries.get_booking(booking_id, viewer=current_user)
