"""`/bookings`: book tickets and manage bookings."""

from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.bookings import queries, services
from bookings_api.bookings.items import with_items
from bookings_api.bookings.limits import former_guest, guest, guest_mailbox, precondition
from bookings_api.bookings.rules import REFUSALS, Order
from bookings_api.bookings.schemas import (
    AttendeeQuerySchema,
    BookingChangeSchema,
    BookingCreateSchema,
    BookingQuerySchema,
    BookingSchema,
    EmailSchema,
)
from bookings_api.calendar.icalendar import calendar_of_booking
from bookings_api.database.listing import Listing
from bookings_api.errors import (
    BookingCancelled,
    BookingNotFound,
    EventEnded,
    EventNotFound,
    EventNotOpen,
    ExternalIdTaken,
    IdempotencyKeyReused,
    PermissionDenied,
    StaleVersion,
    UnverifiedBuyer,
)
from bookings_api.events.routes import blp as events
from bookings_api.http.authentication import (
    current_actor,
    current_key,
    current_key_hash,
    current_login_id,
    require_actor,
)
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import ETAG, if_match
from bookings_api.http.csv import CsvFile
from bookings_api.http.files import calendar_file
from bookings_api.http.idempotency import REPLAYED, REPLAYED_HEADER, IdempotencyKeySchema, request_hash
from bookings_api.http.json import json_response
from bookings_api.http.openapi.examples import API_KEY_ID, API_KEY_NAME, BOOKING_CALENDAR, CHANGED_AT
from bookings_api.http.problems import problem_code
from bookings_api.http.rate_limiting.limits import by_account, count_email, successes
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import Booking, BookingStatus, EmailStatus, OutboxEmail
from bookings_api.observability import metrics
from bookings_api.permissions import Action
from bookings_api.ticket_types.schemas import ItemSchema

_BOOKING = BookingSchema()
_EXAMPLE_WITH_KEY = {
    "user_id": None,
    "api_key_id": API_KEY_ID,
    "booked_by": API_KEY_NAME,
    "external_id": "order-1797",
    "metadata": {"source": "website"},
}

blp = Blueprint("bookings", __name__, url_prefix="/bookings", description="Book tickets and manage your bookings")


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createBooking")
@blp.token_required(with_key=Action.MANAGE_BOOKINGS)
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.problems(PermissionDenied, UnverifiedBuyer, EventNotFound, *REFUSALS, ExternalIdTaken, IdempotencyKeyReused)
@blp.arguments(BookingCreateSchema)
@blp.arguments(IdempotencyKeySchema, location="headers")
@blp.limited("GUEST_MAIL_LIMIT", by=guest, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=guest_mailbox, counts=successes)
@blp.alt_response(
    200,
    schema=BookingSchema,
    headers=LOCATION | REPLAYED | ETAG,
    example=BookingSchema.example(**_EXAMPLE_WITH_KEY),
    description="The existing booking with the same `external_id`.",
    success=True,
)
@blp.response(201, BookingSchema, headers=LOCATION | REPLAYED)
def create_booking(body: dict[str, Any], header: dict[str, str]) -> Any:
    """Book tickets for an event.

    Books all of the tickets or none. If several ticket types are on sale, send the number of tickets of each type in
    `items`. The guest (you, by default) gets a confirmation by email. Send an `Idempotency-Key` to make retries safe,
    for example after a timeout. The tickets are then booked only once.

    With an API key, you book tickets for one of your organization's events. The guest does not need an account. If you
    set an `external_id`, you can repeat the request at any time. The response then contains the current state of the
    existing booking.
    """
    key = header.get("key")
    request = IdempotentRequest(key, partial(request_hash, body), _BOOKING.dump) if key else None
    order = Order(
        **with_items(body), requires_verified_email=flask.current_app.config["BOOKING_REQUIRES_VERIFIED_EMAIL"]
    )
    key_hash = current_key_hash()
    credential = {"login_id": current_login_id()} if key_hash is None else {"key_hash": key_hash}
    booking, is_new = services.book_tickets(order=order, request=request, **credential)
    if isinstance(booking, Booking):
        replayed = {} if is_new else {REPLAYED_HEADER: "true"}
        return booking, HTTPStatus.CREATED if is_new else HTTPStatus.OK, _location(booking.id) | replayed
    # no ETag, because the booking may have changed since the original response
    headers = _location(booking.response["id"]) | {REPLAYED_HEADER: "true"}
    return json_response(booking.response, HTTPStatus.CREATED, headers)


@blp.after_request
def count_outcome(response: flask.Response) -> flask.Response:
    """Count the outcome of each request to book tickets."""
    if flask.request.method == "POST" and flask.request.endpoint == f"{blp.name}.{create_booking.__name__}":
        metrics.count_booking(problem_code() or ("replayed" if REPLAYED_HEADER in response.headers else "confirmed"))
    return response


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listBookings")
@blp.token_required(with_key=Action.SEE_BOOKINGS)
@blp.listing(BookingQuerySchema, BookingSchema)
def list_bookings(**filters: Any) -> Listing:
    """List your bookings.

    Returns the newest bookings first. Includes cancelled bookings unless you filter by `status`. With an API key,
    returns the bookings that were made with any of your organization's API keys. If the key is restricted to certain
    events, returns only bookings for these events.
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
@blp.problems(PermissionDenied, BookingNotFound, BookingCancelled, *REFUSALS)
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

    Omitted fields keep their values. The guest is notified by email. If you change the guest's email, the new guest
    gets a confirmation, and the former guest is notified that the booking is no longer theirs. Additional tickets are
    booked only if all of them are available. Released tickets are available immediately.

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

    Releases the tickets immediately and notifies the guest by email. Cancelling again changes nothing and returns the
    same response.

    You can cancel your own booking until the event starts or booking closes, whichever comes later. If you manage the
    event, you can cancel any of its bookings until the event ends.
    """
    booking = services.cancel_booking(actor=current_actor, booking_id=booking_id, precondition=if_match())
    count_email(booking.guest_email)
    return booking


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
@blp.problems(PermissionDenied, BookingNotFound, BookingCancelled, EventEnded, StaleVersion)
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


@events.route("/<uuid:event_id>/bookings", methods=["GET"])
@events.doc(operationId="listAttendees")
@events.login_required(with_key=Action.SEE_BOOKINGS)
@events.problems(PermissionDenied, EventNotFound)
@events.listing(AttendeeQuerySchema, BookingSchema, csv_file=CsvFile("bookings-{event_id}.csv", key=Booking.id))
def list_attendees(event_id: UUID, **filters: Any) -> Listing:
    """List the bookings for an event.

    Returns the oldest bookings first. Includes cancelled bookings unless you filter by `status`. Use `q` or `reference`
    to find a guest, and `email_status=failed` to find guests whose latest email could not be delivered.

    With `Accept: text/csv`, returns the whole list as a spreadsheet file (RFC 4180: UTF-8 with a byte order mark, a
    header row, every field quoted). Omit `page` and `page_size`, because the file has no pages. The file may lack
    changes made during the download. If the transfer is interrupted, the remaining rows are missing. Text that a
    spreadsheet would evaluate as a formula (starting with =, +, - or @) or convert (0012345, 1/2, Mar 1, TRUE) is
    prefixed with an apostrophe. Words such as `Mar` and `TRUE` are recognized only in English. To prevent any
    conversion, import all columns of the file as text. Use `separator=semicolon` for spreadsheets with a decimal comma.
    """
    return queries.bookings_for(current_actor, event_id, **filters)


def _location(booking_id: UUID | str) -> dict[str, str]:
    return {"Location": f"{flask.request.root_path}{flask.request.path}{booking_id}"}
