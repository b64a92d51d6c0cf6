"""`/bookings`: booking tickets, and one's own bookings."""

from typing import Any
from uuid import UUID

import flask
from werkzeug.http import quote_etag

from bookings_api.bookings import queries, services
from bookings_api.bookings.idempotency import Once, is_kept
from bookings_api.bookings.schemas import (
    AttendeeQuerySchema,
    BookingChangeSchema,
    BookingCreateSchema,
    BookingQuerySchema,
    BookingSchema,
    EmailSchema,
)
from bookings_api.calendar.icalendar import calendar_of_booking
from bookings_api.errors import (
    BookingCancelled,
    BookingNotFound,
    EventNotFound,
    EventNotOpen,
    EventStarted,
    IdempotencyKeyReused,
    PermissionDenied,
    RequestInFlight,
    SoldOut,
    TooManyTickets,
)
from bookings_api.events.queries import get_own_event
from bookings_api.events.routes import blp as events
from bookings_api.http.authentication import current_login_id, current_user
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import if_match
from bookings_api.http.csv import CsvFile
from bookings_api.http.files import calendar_file
from bookings_api.http.idempotency import REPLAYED, REPLAYED_HEADER, IdempotencyKeySchema, request_hash
from bookings_api.http.openapi.examples import BOOKING_CALENDAR, CHANGED_AT
from bookings_api.http.pagination import Listing
from bookings_api.http.problems import problem_code
from bookings_api.http.rate_limiting.limits import by_account, of_mailbox, successes
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.models import Booking, BookingStatus, EmailStatus, OutboxEmail
from bookings_api.observability import metrics

_BOOKING = BookingSchema()

blp = Blueprint("bookings", __name__, url_prefix="/bookings", description="Tickets of the logged-in account")


def _guest(
    body: dict[str, Any] | None = None, header: dict[str, str] | None = None, *, booking_id: UUID | None = None
) -> str | None:
    """Count for each guest who will get mail because of somebody else, whoever that is.

    One's own mail is not counted here: the limit on bookings bounds it, for nobody has proved that the address is his.

    Many accounts together cannot flood a stranger, and who uses up a stranger's share keeps nobody from booking for
    himself. A replayed answer sends no mail, and is to be had however many were sent since.
    """
    address: str | None = (body or {}).get("guest_email")
    if address is None and booking_id is not None:
        address = queries.guest_email_of(booking_id, viewer=current_user)
    if address is None or address.lower() == current_user.email.lower():
        return None
    if header and "key" in header and is_kept(current_user, header["key"]):
        return None
    return of_mailbox(address)


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createBooking")
@blp.login_looked_up_by_service()
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.problems(EventNotFound, EventNotOpen, SoldOut, TooManyTickets, RequestInFlight, IdempotencyKeyReused)
@blp.arguments(BookingCreateSchema)
@blp.arguments(IdempotencyKeySchema, location="headers")
@blp.limited("GUEST_MAIL_LIMIT", by=_guest, counts=successes)
@blp.response(201, BookingSchema, headers=LOCATION | REPLAYED)
def create_booking(order: dict[str, Any], header: dict[str, str]) -> Any:
    """Book tickets for an event.

    All of them or none: never more than there are. The guest, by default the account's owner, gets a confirmation by
    mail. With an `Idempotency-Key` the request may be sent again, after a timeout for example, and is done once.
    """
    key = header.get("key")
    if key is None:
        booking = services.book_tickets(user=current_user, login_id=current_login_id(), **order)
        return booking, _location(booking.id)
    once = Once(key, request_hash(order), _BOOKING.dump)
    answer, is_replayed = services.book_tickets_once(user=current_user, login_id=current_login_id(), once=once, **order)
    # a replayed answer is history: its version may not be the present one
    tag = {REPLAYED_HEADER: "true"} if is_replayed else {"ETag": quote_etag(str(answer["version"]))}
    return flask.make_response(answer, 201, _location(answer["id"]) | tag)


@blp.after_request
def count_order(response: flask.Response) -> flask.Response:
    """Count what became of an order, however far it came."""
    if flask.request.method == "POST" and flask.request.endpoint == f"{blp.name}.{create_booking.__name__}":
        metrics.count_booking(problem_code() or ("replayed" if REPLAYED_HEADER in response.headers else "confirmed"))
    return response


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listBookings")
@blp.login_required()
@blp.listing(BookingQuerySchema, BookingSchema)
def list_bookings(**filters: Any) -> Listing:
    """List one's own bookings.

    The newest first, the cancelled ones included unless `status` says otherwise.
    """
    return queries.bookings_of(current_user, **filters)


@blp.route("/<uuid:booking_id>", methods=["GET"])
@blp.doc(operationId="getBooking")
@blp.login_required()
@blp.if_none_match()
@blp.problems(BookingNotFound)
@blp.response(200, BookingSchema)
def get_booking(booking_id: UUID) -> Booking:
    """Get one booking.

    One's own, or one for an event that one organizes; any other is not found.
    """
    return queries.get_booking(booking_id, viewer=current_user)


@blp.route("/<uuid:booking_id>/calendar.ics", methods=["GET"])
@blp.doc(operationId="getBookingCalendar")
@blp.login_required()
@blp.if_none_match()
@blp.problems(BookingNotFound)
@blp.calendar(example=BOOKING_CALENDAR)
def get_booking_calendar(booking_id: UUID) -> flask.Response:
    """Get one booking for a calendar.

    One's own, or one for an event that one organizes. It is the same entry that the mails to the guest bring, as it
    stands now; a cancelled one is `CANCELLED`.
    """
    booking = queries.get_booking(booking_id, viewer=current_user)
    calendar = calendar_of_booking(booking, mail_from=flask.current_app.config["MAIL_FROM"])
    return calendar_file(calendar, f"booking-{booking.reference}.ics")


@blp.route("/<uuid:booking_id>", methods=["PATCH"])
@blp.doc(operationId="changeBooking")
@blp.login_required()
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.if_match()
@blp.problems(BookingNotFound, PermissionDenied, BookingCancelled, EventNotOpen, SoldOut, TooManyTickets)
@blp.arguments(BookingChangeSchema)
@blp.limited("GUEST_MAIL_LIMIT", by=_guest, counts=successes)
@blp.response(200, BookingSchema, example=BookingSchema.example(ticket_count=1, version=2, updated_at=CHANGED_AT))
def change_booking(changes: dict[str, Any], booking_id: UUID) -> Booking:
    """Change ticket count or guest of one's own booking.

    Only what is sent is changed, and the guest is told by mail. More tickets are taken only if they are left; fewer are
    free again at once.
    """
    return services.change_booking(user=current_user, booking_id=booking_id, changes=changes, precondition=if_match())


@blp.route("/<uuid:booking_id>", methods=["DELETE"])
@blp.doc(operationId="cancelBooking")
@blp.login_required()
@blp.if_match()
@blp.problems(BookingNotFound, PermissionDenied, EventNotOpen)
@blp.response(
    200,
    BookingSchema,
    example=BookingSchema.example(
        status=BookingStatus.CANCELLED.value, version=2, updated_at=CHANGED_AT, cancelled_at=CHANGED_AT
    ),
)
def cancel_booking(booking_id: UUID) -> Booking:
    """Cancel one's own booking.

    Its tickets are free again at once, and the guest is told by mail. A second time changes nothing and answers the
    same. Once the event has started it is too late.
    """
    return services.cancel_booking(user=current_user, booking_id=booking_id, precondition=if_match())


@blp.route("/<uuid:booking_id>/emails", methods=["GET"])
@blp.doc(operationId="listBookingEmails")
@blp.login_required()
@blp.problems(BookingNotFound)
@blp.listing(PageQuerySchema, EmailSchema)
def list_booking_emails(booking_id: UUID) -> Listing:
    """List the mails about a booking.

    The newest first, and whether each was sent. One may ask for one's own booking, and for one for an event that one
    organizes. Mails that were sent long ago are gone.
    """
    return queries.mails_of(queries.get_booking(booking_id, viewer=current_user))


@blp.route("/<uuid:booking_id>/emails", methods=["POST"])
@blp.doc(operationId="resendConfirmation")
@blp.login_required()
@blp.limited("MAIL_RESEND_LIMIT", by=by_account("booking_id"), counts=successes)
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.limited("GUEST_MAIL_LIMIT", by=_guest, counts=successes)
@blp.problems(BookingNotFound, BookingCancelled, EventStarted)
@blp.response(
    202,
    EmailSchema,
    example=EmailSchema.example(
        status=EmailStatus.PENDING.value, attempts=0, created_at=CHANGED_AT, sent_at=None, next_attempt_at=CHANGED_AT
    ),
)
def resend_confirmation(booking_id: UUID) -> OutboxEmail:
    """Mail the confirmation of a booking again.

    With the present facts, to its present guest, a few times an hour. The answer is the mail, which is not sent yet.
    """
    return services.resend_confirmation(user=current_user, booking_id=booking_id)


@events.route("/<uuid:event_id>/bookings", methods=["GET"])
@events.doc(operationId="listAttendees")
@events.login_required(organizer=True)
@events.problems(EventNotFound)
@events.listing(AttendeeQuerySchema, BookingSchema, csv_file=CsvFile("bookings-{event_id}.csv", key=Booking.id))
def list_attendees(event_id: UUID, **filters: Any) -> Listing:
    """List who comes to an event of one's own.

    In the order of booking, the cancelled ones included unless `status` says otherwise.

    With `Accept: text/csv` the whole list is a file for spreadsheets (RFC 4180: UTF-8 with a byte order mark, a header
    row, every field quoted), without `page` and `page_size`. It is sent as it is read: it has every booking that was
    there all the time, each as it stood when its row was read, and a connection that breaks off means that some are
    missing. Where text would be taken for a formula (after =, +, -, @), an apostrophe stands before it.
    """
    return queries.bookings_for(get_own_event(event_id, owner=current_user), **filters)


def _location(booking_id: UUID | str) -> dict[str, str]:
    return {"Location": f"{flask.request.root_path}{flask.request.path}{booking_id}"}
