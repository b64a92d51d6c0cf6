"""Book tickets."""

from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.bookings.items import with_items
from bookings_api.bookings.limits import guest, guest_mailbox
from bookings_api.bookings.order import Order, Plan
from bookings_api.bookings.ordering import book_tickets
from bookings_api.bookings.previews import preview_order
from bookings_api.bookings.routes.blueprint import blp
from bookings_api.bookings.rules import REFUSALS
from bookings_api.bookings.schemas.bookings import BookingSchema, priced_example, waiting_example
from bookings_api.bookings.schemas.previews import BookingPreviewSchema
from bookings_api.bookings.schemas.requests import BookingCreateQuerySchema, BookingCreateSchema
from bookings_api.errors import (
    DomainError,
    EventNotFound,
    ExternalIdTaken,
    IdempotencyKeyReused,
    PermissionDenied,
    UnverifiedBuyer,
)
from bookings_api.http.authentication import current_key_hash, current_login_id
from bookings_api.http.blueprint import LOCATION
from bookings_api.http.conditional import ETAG
from bookings_api.http.idempotency import REPLAYED, REPLAYED_HEADER, IdempotencyKeySchema, request_hash
from bookings_api.http.json import json_response
from bookings_api.http.openapi.examples import API_KEY_ID, API_KEY_NAME
from bookings_api.http.problems import DOMAIN_PROBLEMS, problem_code
from bookings_api.http.rate_limiting.limits import by_account, successes
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import Booking, BookingStatus
from bookings_api.observability import metrics
from bookings_api.permissions import Action

_BOOKING, _PREVIEW = BookingSchema(), BookingPreviewSchema()
_BOOKED_WITH_KEY = BookingSchema.example(
    user_id=None,
    api_key_id=API_KEY_ID,
    booked_by=API_KEY_NAME,
    external_id="order-1797",
    metadata={"source": "website"},
)
_EXISTING_OR_PREVIEW = {
    "existing": {"summary": "An existing booking", "value": _BOOKED_WITH_KEY},
    "preview": {"summary": "A preview", "value": BookingPreviewSchema.example()},
}
_NEW = {
    "confirmed": {"summary": "Free tickets", "value": BookingSchema.example()},
    "held": {"summary": "Tickets with a price", "value": priced_example(status=BookingStatus.HELD.value)},
    "waitlisted": {"summary": "A place on the waiting list", "value": waiting_example()},
}


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createBooking")
@blp.token_required(with_key=Action.MANAGE_BOOKINGS)
@blp.limited("BOOKING_LIMIT", by=by_account())
@blp.problems(PermissionDenied, UnverifiedBuyer, EventNotFound, *REFUSALS, ExternalIdTaken, IdempotencyKeyReused)
@blp.arguments(BookingCreateSchema)
@blp.arguments(IdempotencyKeySchema, location="headers")
@blp.arguments(BookingCreateQuerySchema, location="query")
@blp.limited("GUEST_MAIL_LIMIT", by=guest, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=guest_mailbox, counts=successes)
@blp.alt_response(
    200,
    schema={"oneOf": [BookingSchema, BookingPreviewSchema]},
    headers=LOCATION | REPLAYED | ETAG,
    examples=_EXISTING_OR_PREVIEW,
    description="The existing booking with the same `external_id` or, with `dry_run=true`, a preview.",
    success=True,
)
@blp.response(201, BookingSchema, headers=LOCATION | REPLAYED, examples=_NEW)
def create_booking(body: dict[str, Any], header: dict[str, str], query: dict[str, bool]) -> Any:
    """Book tickets for an event.

    Books all of the tickets or none, unless you set `accept_fewer`. If several ticket types are on sale, send the
    number of tickets of each type in `items`. Send an `Idempotency-Key` to make retries safe, for example after a
    timeout. The tickets are then booked only once.

    Free tickets are confirmed immediately, and the guest (you, by default) gets an email. Tickets with a price are held
    until `held_until`. Confirm the booking before then. With `waitlist`, you join the event's waiting list if too few
    tickets are left.

    With an API key, you book tickets for one of your organization's events. The guest does not need an account. If you
    set an `external_id`, you can repeat the request at any time. The response then contains the current state of the
    existing booking.

    With `dry_run=true`, nothing is booked. The response shows the status that the booking would have, or all reasons to
    refuse it. Invalid fields and missing permissions still get an error.
    """
    order = Order(
        **with_items(body), requires_verified_email=flask.current_app.config["BOOKING_REQUIRES_VERIFIED_EMAIL"]
    )
    key_hash = current_key_hash()
    credential = {"login_id": current_login_id()} if key_hash is None else {"key_hash": key_hash}
    if query["dry_run"]:
        outcome = preview_order(order=order, **credential)
        if isinstance(outcome, Booking):
            return outcome, HTTPStatus.OK, _location(outcome.id) | {REPLAYED_HEADER: "true"}
        return json_response(_PREVIEW.dump(_preview(order, outcome)), HTTPStatus.OK, {})
    key = header.get("key")
    request = IdempotentRequest(key, partial(request_hash, body), _BOOKING.dump) if key else None
    booking, is_new = book_tickets(order=order, request=request, **credential)
    if isinstance(booking, Booking):
        flask.g.booked = booking.status.value
        replayed = {} if is_new else {REPLAYED_HEADER: "true"}
        return booking, HTTPStatus.CREATED if is_new else HTTPStatus.OK, _location(booking.id) | replayed
    # no ETag, because the booking may have changed since the original response
    headers = _location(booking.response["id"]) | {REPLAYED_HEADER: "true"}
    return json_response(booking.response, HTTPStatus.CREATED, headers)


def _preview(order: Order, outcome: Plan | list[DomainError]) -> dict[str, Any]:
    """Return the members of `BookingPreviewSchema`."""
    if isinstance(outcome, list):
        refusals = [{"code": DOMAIN_PROBLEMS[type(error)].code, "detail": str(error)} for error in outcome]
        nothing: dict[str, Any] = {"status": None, "ticket_count": 0, "items": [], "amount_due": 0, "currency": None}
        return {"event_id": order.event_id, **nothing, "refusals": refusals}
    return {
        "event_id": order.event_id,
        "status": outcome.status,
        "ticket_count": sum(item.count for item in outcome.items),
        "items": [item.as_json() for item in outcome.items],
        "amount_due": outcome.amount_due,
        "currency": outcome.event.currency if outcome.amount_due else None,
        "refusals": [],
    }


@blp.after_request
def count_outcome(response: flask.Response) -> flask.Response:
    """Count the outcome of each request to book tickets."""
    if flask.request.method == "POST" and flask.request.endpoint == f"{blp.name}.{create_booking.__name__}":
        metrics.count_booking(problem_code() or _outcome(response))
    return response


def _outcome(response: flask.Response) -> str:
    if REPLAYED_HEADER in response.headers:
        return "replayed"
    return "previewed" if response.status_code == HTTPStatus.OK else flask.g.booked


def _location(booking_id: UUID | str) -> dict[str, str]:
    return {"Location": f"{flask.request.root_path}{flask.request.path}{booking_id}"}
