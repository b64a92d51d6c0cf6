"""Lists of an event's bookings, waiting list and payments."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from bookings_api.bookings import queries
from bookings_api.bookings.schemas.bookings import BookingSchema, waiting_example
from bookings_api.bookings.schemas.payments import PaymentQuerySchema, PaymentSchema
from bookings_api.bookings.schemas.requests import AttendeeQuerySchema, WaitingListQuerySchema
from bookings_api.database.listing import Listing
from bookings_api.errors import EventNotFound, PermissionDenied
from bookings_api.events.routes import blp as events
from bookings_api.http.authentication import current_actor
from bookings_api.http.csv import CsvFile
from bookings_api.http.json import JSON
from bookings_api.models import Booking
from bookings_api.permissions import Action


@events.route("/<uuid:event_id>/bookings", methods=["GET"])
@events.doc(operationId="listAttendees")
@events.login_required(with_key=Action.SEE_BOOKINGS)
@events.problems(PermissionDenied, EventNotFound)
@events.listing(AttendeeQuerySchema, BookingSchema, csv_file=CsvFile("bookings-{event_id}.csv", key=Booking.id))
def list_attendees(event_id: UUID, **filters: Any) -> Listing:
    """List the bookings for an event.

    Returns the oldest bookings first. Includes cancelled and expired bookings unless you filter by `status`. Use `q` or
    `reference` to find a guest, `email_status=failed` to find guests whose latest email could not be delivered, and
    `refund_due=true` to find bookings for which money must be refunded.

    With `Accept: text/csv`, returns the whole list as a spreadsheet file (RFC 4180: UTF-8 with a byte order mark, a
    header row, every field quoted). Omit `page` and `page_size`, because the file has no pages. The file may lack
    changes made during the download. If the transfer is interrupted, the remaining rows are missing. Text that a
    spreadsheet would evaluate as a formula (starting with =, +, - or @) or convert (0012345, 1/2, Mar 1, TRUE) is
    prefixed with an apostrophe. Words such as `Mar` and `TRUE` are recognized only in English. To prevent any
    conversion, import all columns of the file as text. Use `separator=semicolon` for spreadsheets with a decimal comma.
    """
    return queries.bookings_for(current_actor, event_id, **filters)


@events.route("/<uuid:event_id>/waiting-list", methods=["GET"])
@events.doc(
    operationId="listWaitingList", responses={HTTPStatus.OK: {"content": {JSON: {"example": [waiting_example()]}}}}
)
@events.login_required(with_key=Action.SEE_BOOKINGS)
@events.problems(PermissionDenied, EventNotFound)
@events.listing(WaitingListQuerySchema, BookingSchema)
def list_waiting_list(event_id: UUID) -> Listing:
    """List the bookings on an event's waiting list.

    Returns the bookings in the order of their `position`.
    """
    return queries.waiting_list_of(current_actor, event_id)


@events.route("/<uuid:event_id>/payments", methods=["GET"])
@events.doc(operationId="listPayments")
@events.login_required(with_key=Action.SEE_BOOKINGS)
@events.problems(PermissionDenied, EventNotFound)
@events.listing(PaymentQuerySchema, PaymentSchema)
def list_payments(event_id: UUID, **filters: Any) -> Listing:
    """List the payments for an event's bookings.

    Returns the oldest payments first. Use `refund_due=true` to find the payments that must be refunded, fully or in
    part. The service does not refund money itself. The list remains available after the event is deleted.
    """
    return queries.payments_for(current_actor, event_id, **filters)
