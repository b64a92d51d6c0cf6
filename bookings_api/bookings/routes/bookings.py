"""Read, change and cancel bookings."""

from typing import Any
from uuid import UUID

import flask

from bookings_api.bookings import queries, services
from bookings_api.bookings.items import with_items
from bookings_api.bookings.limits import former_guest, guest, guest_mailbox, precondition
from bookings_api.bookings.routes.blueprint import blp
from bookings_api.bookings.rules import REFUSALS
from bookings_api.bookings.schemas.bookings import BookingSchema
from bookings_api.bookings.schemas.requests import BookingChangeSchema, BookingQuerySchema
from bookings_api.calendar.icalendar import calendar_of_booking
from bookings_api.database.listing import Listing
from bookings_api.errors import (
    BookingCancelled,
    BookingNotFound,
    EventNotOpen,
    HoldExpired,
    PaymentRequired,
    PermissionDenied,
)
from bookings_api.http.authentication import (
    current_actor,
    current_key,
    current_key_hash,
    current_login_id,
    require_actor,
)
from bookings_api.http.conditional import if_match
from bookings_api.http.files import calendar_file
from bookings_api.http.openapi.examples import BOOKING_CALENDAR, CHANGED_AT
from bookings_api.http.rate_limiting.limits import by_account, count_email, successes
from bookings_api.models import Booking, BookingStatus
from bookings_api.permissions import Action
from bookings_api.ticket_types.schemas import ItemSchema


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listBookings")
@blp.token_required(with_key=Action.SEE_BOOKINGS)
@blp.listing(BookingQuerySchema, BookingSchema)
def list_bookings(**filters: Any) -> Listing:
    """List your bookings.

    Returns the newest bookings first. Includes cancelled and expired bookings unless you filter by `status`. With an
    API key, returns the bookings that were made with any of your organization's API keys. If the key is restricted to
    certain events, returns only bookings for these events.
    """
    if current_key_hash() is None:
        return queries.bookings_of(login_id=current_login_id(), **filters)
    require_actor(with_key=Action.SEE_BOOKINGS)
    return queries.bookings_made_with_keys(current_key(), **filters)


@blp.route("/<uuid:booking_id>", methods=["GET"])
@blp.doc(operationId="getBooking")
@blp.login_required(with_key=Action.SEE_BOOKINGS)
@blp.if_none_match()
@blp.problems(BookingNotFound)
@blp.response(200, BookingSchema)
def get_booking(booking_id: UUID) -> Booking:
    """Get a booking.

    You can get your own bookings and the bookings for events you manage.
    """
    return queries.get_booking(booking_id, viewer=current_actor)


@blp.route("/<uuid:booking_id>/calendar.ics", methods=["GET"])
@blp.doc(operationId="getBookingCalendar")
@blp.login_required(with_key=Action.SEE_BOOKINGS)
@blp.if_none_match()
@blp.problems(BookingNotFound)
@blp.calendar(example=BOOKING_CALENDAR)
def get_booking_calendar(booking_id: UUID) -> flask.Response:
    """Get a booking as a calendar file.

    Importing the file updates the calendar entry that the guest received by email. The entry of a cancelled booking has
    the status `CANCELLED`.
    """
    booking = queries.get_booking(booking_id, viewer=current_actor)
    calendar = calendar_of_booking(booking, mail_from=flask.current_app.config["MAIL_FROM"])
    return calendar_file(calendar, f"booking-{booking.reference}.ics")


@blp.route("/<uuid:booking_id>", methods=["PATCH"])
@blp.doc(operationId="changeBooking")
@blp.login_required(with_key=Action.MANAGE_BOOKINGS)
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.if_match()
@blp.problems(PermissionDenied, BookingNotFound, BookingCancelled, HoldExpired, PaymentRequired, *REFUSALS)
@blp.arguments(BookingChangeSchema)
@blp.limited("GUEST_MAIL_LIMIT", by=guest, counts=successes)
@blp.limited("GUEST_MAIL_LIMIT", by=former_guest, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=guest_mailbox, counts=successes)
@blp.response(
    200,
    BookingSchema,
    example=BookingSchema.example(
        ticket_count=1, items=[ItemSchema.example(count=1)], version=2, updated_at=CHANGED_AT
    ),
)
def change_booking(changes: dict[str, Any], booking_id: UUID) -> Booking:
    """Change a booking's tickets or guest.

    Omitted fields keep their values. The guest is notified by email, unless the booking is a hold that was not offered
    from the waiting list. If you change the guest's email, both guests are notified: the new guest of the booking, and
    the former guest that the booking is no longer theirs. Additional tickets are booked only if all of them are
    available. Released tickets are available immediately.

    A confirmed booking cannot get more tickets that have a price. Book them separately. On the waiting list, you keep
    your place if you remove tickets, and move to the end of the list if you add any.

    You can change your own booking until the event starts or booking closes, whichever comes later. You can add tickets
    only while booking is open. If you manage the event, you can change any of its bookings, and add tickets, until the
    event ends.
    """
    return services.change_booking(
        actor=current_actor, booking_id=booking_id, changes=with_items(changes), precondition=precondition()
    )


@blp.route("/<uuid:booking_id>", methods=["DELETE"])
@blp.doc(operationId="cancelBooking")
@blp.login_required(with_key=Action.MANAGE_BOOKINGS)
@blp.if_match()
@blp.problems(PermissionDenied, BookingNotFound, EventNotOpen)
@blp.response(
    200,
    BookingSchema,
    example=BookingSchema.example(
        status=BookingStatus.CANCELLED.value, version=2, updated_at=CHANGED_AT, cancelled_at=CHANGED_AT
    ),
)
def cancel_booking(booking_id: UUID) -> Booking:
    """Cancel a booking.

    Releases the tickets, or the place on the waiting list, immediately and notifies the guest by email. The guest of a
    hold gets no email, unless the tickets were offered to them from the waiting list. Cancelling again changes nothing
    and returns the same response.

    You can cancel your own booking until the event starts or booking closes, whichever comes later. If you manage the
    event, you can cancel any of its bookings until the event ends.
    """
    booking = services.cancel_booking(actor=current_actor, booking_id=booking_id, precondition=if_match())
    if booking.was_announced:
        count_email(booking.guest_email)
    return booking
