"""`/events`: browse and manage events."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.calendar.icalendar import calendar_of_event
from bookings_api.database.listing import Listing
from bookings_api.errors import (
    CapacityBelowBooked,
    EventCancelled,
    EventEnded,
    EventNotFound,
    EventNotPublished,
    EventStarted,
    OrganizationNotFound,
    OrganizationRequired,
    PermissionDenied,
)
from bookings_api.events import queries, services
from bookings_api.events.schemas.requests import EventChangeSchema, EventCreateSchema, EventQuerySchema
from bookings_api.events.schemas.responses import EventSchema, ListedEventSchema
from bookings_api.http.authentication import current_actor, current_actor_id, viewer
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import if_match
from bookings_api.http.files import calendar_file
from bookings_api.http.idempotency import REPLAYED
from bookings_api.http.openapi.examples import CHANGED_AT, EVENT_CALENDAR, PUBLISHED_AT
from bookings_api.http.rate_limiting.limits import by_account, successes
from bookings_api.http.response_cache.cache import cached_page, cached_resource
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import Event, EventStatus
from bookings_api.permissions import Action

blp = Blueprint("events", __name__, url_prefix="/events", description="Browse and manage events")

# Ticket counts for examples of events without bookings
_UNBOOKED = {"tickets_booked": 0, "tickets_available": 3}


def _notice(changes: dict[str, Any], *, event_id: UUID) -> str | None:
    """Return the rate limit key for a change that notifies guests: one per caller and event.

    Returns None for changes that notify no guests. Counts a request even if the field already has the new value,
    because a concurrent request may be changing the field. Also sets `flask.g.notifies`, which `_notifier` reads.
    """
    notifies = bool(changes.keys() & services.NOTIFIED) and queries.has_guests(current_actor, event_id)
    flask.g.notifies = notifies
    return by_account("event_id")(event_id=event_id) if notifies else None


def _notifier(*args: Any, **kwargs: Any) -> str | None:
    """Return the rate limit key for a change that notifies guests: one per caller, shared by all events.

    Apply this limit below the limit by `_notice`, which sets `flask.g.notifies`.
    """
    return f"notices/{current_actor_id()}" if flask.g.notifies else None


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listUpcomingEvents")
@blp.public()
@cached_page
@blp.listing(EventQuerySchema, ListedEventSchema)
def list_upcoming_events(**filters: Any) -> Listing:
    """List upcoming events.

    Returns the published events that have not ended and match all filters. Includes events in progress, because booking
    can stay open until they end. Events are sorted by start time unless you send `sort` or `after`.

    New and changed events are listed immediately. Ticket counts, and therefore the results of `min_available`, can be
    up to one second out of date. To get exact counts, retrieve the event by its ID.
    """
    return queries.upcoming_events(**filters)


@blp.route("/all", methods=["GET"])
@blp.doc(operationId="listAllEvents")
@blp.login_optional()
@cached_page
@blp.listing(EventQuerySchema, ListedEventSchema)
def list_all_events(**filters: Any) -> Listing:
    """List all events.

    Returns all events that match the filters, including past and cancelled events and the drafts that you may see.
    Events are sorted by start time unless you send `sort` or `after`.

    New and changed events are listed immediately. Ticket counts, and therefore the results of `min_available`, can be
    up to one second out of date. To get exact counts, retrieve the event by its ID.
    """
    return queries.all_events(viewer=viewer(), **filters)


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createEvent")
@blp.login_required(Action.CREATE_EVENTS, with_key=Action.CREATE_EVENTS)
@blp.limited("EVENT_LIMIT", by=by_account())
@blp.problems(OrganizationNotFound, OrganizationRequired)
@blp.arguments(EventCreateSchema)
@blp.idempotent(EventSchema, replay=lambda event: (HTTPStatus.CREATED, _location(event["id"])))
@blp.response(
    201,
    EventSchema,
    headers=LOCATION | REPLAYED,
    example=EventSchema.example(**_UNBOOKED, updated_at=PUBLISHED_AT),
)
def create_event(event: dict[str, Any], request: IdempotentRequest | None) -> tuple[Event, dict[str, str]]:
    """Create an event.

    You become the event's organizer. With an API key, the account in the key's `created_by_id` becomes the organizer.

    The event is published immediately unless `status` is `draft`. Until you publish a draft, it is visible only to you,
    the event's team, and the organization's owners and API keys. Booking opens when the event is published, or at
    `booking_opens_at` if that is later.
    """
    created = services.create_event(actor=current_actor, request=request, **event)
    return created, _location(created.id)


@blp.route("/<uuid:event_id>", methods=["GET"])
@blp.doc(operationId="getEvent")
@blp.login_optional()
@cached_resource(queries.read_public_event, EventSchema)
@blp.if_none_match()
@blp.problems(EventNotFound)
@blp.response(200, EventSchema)
def get_event(event_id: UUID) -> Event:
    """Get an event.

    The ticket counts are exact, unlike in lists, but may change before you book. A draft is visible only to its
    organizer, its team, and the organization's owners and API keys.
    """
    return queries.get_event(event_id, viewer=viewer())


@blp.route("/<uuid:event_id>/calendar.ics", methods=["GET"])
@blp.doc(operationId="getEventCalendar")
@blp.login_optional()
@blp.if_none_match()
@blp.problems(EventNotFound)
@blp.calendar(example=EVENT_CALENDAR)
def get_event_calendar(event_id: UUID) -> flask.Response:
    """Get an event as a calendar file.

    Calendar apps can import this file or subscribe to it. A cancelled event has the status `CANCELLED`.
    """
    event = queries.get_event(event_id, viewer=viewer())
    calendar = calendar_of_event(event, mail_from=flask.current_app.config["MAIL_FROM"])
    return calendar_file(calendar, f"event-{event.id}.ics")


@blp.route("/<uuid:event_id>", methods=["PATCH"])
@blp.doc(operationId="changeEvent")
@blp.login_required(with_key=Action.EDIT_EVENT)
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, EventCancelled, EventStarted, EventEnded, CapacityBelowBooked)
@blp.arguments(EventChangeSchema)
@blp.limited("NOTIFICATION_LIMIT", by=_notice, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=_notifier, counts=successes)
@blp.response(
    200,
    EventSchema,
    example=EventSchema.example(
        location="Philharmonie", capacity=5, tickets_available=3, version=2, updated_at=CHANGED_AT
    ),
)
def change_event(changes: dict[str, Any], event_id: UUID) -> Event:
    """Change one of your events.

    Omitted fields keep their values. If the title, time, location or contact changes before the event ends, guests get
    an email that updates their calendars. Changes within a few minutes are combined into one email.

    The capacity cannot be less than the number of booked tickets or the capacity of a ticket type. Once a published
    event has started, its start time cannot change. Once the event has ended, its end time, time zone and booking times
    cannot change either. Cancelled events cannot change.
    """
    return services.change_event(actor=current_actor, event_id=event_id, changes=changes, precondition=if_match())


@blp.route("/<uuid:event_id>", methods=["DELETE"])
@blp.doc(operationId="deleteEvent")
@blp.login_required(with_key=Action.DELETE_EVENT)
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, EventEnded)
@blp.response(204)
def delete_event(event_id: UUID) -> None:
    """Delete one of your events.

    Hides the event, cancels all its bookings, and notifies the guests by email. You can still get each booking by its
    ID. A published event that has ended cannot be deleted. Co-organizers cannot delete events.
    """
    services.delete_event(actor=current_actor, event_id=event_id, precondition=if_match())


@blp.route("/<uuid:event_id>/publish", methods=["POST"])
@blp.doc(operationId="publishEvent")
@blp.login_required(with_key=Action.EDIT_EVENT)
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, EventCancelled, EventEnded)
@blp.response(200, EventSchema, example=EventSchema.example(**_UNBOOKED, version=2, updated_at=CHANGED_AT))
def publish_event(event_id: UUID) -> Event:
    """Publish one of your drafts.

    The event becomes visible to everyone, and tickets can be booked once booking opens. A draft whose end has passed
    cannot be published. Publishing an event again changes nothing.
    """
    return services.publish_event(actor=current_actor, event_id=event_id, precondition=if_match())


@blp.route("/<uuid:event_id>/cancel", methods=["POST"])
@blp.doc(operationId="cancelEvent")
@blp.login_required(with_key=Action.EDIT_EVENT)
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, EventNotPublished, EventEnded)
@blp.response(
    200,
    EventSchema,
    example=EventSchema.example(**_UNBOOKED, status=EventStatus.CANCELLED.value, version=2, updated_at=CHANGED_AT),
)
def cancel_event(event_id: UUID) -> Event:
    """Cancel one of your events.

    Cancels all bookings for the event and notifies the guests by email. The event stays visible. Cancelling cannot be
    undone, and cancelling again changes nothing. You can cancel an event until it ends. A draft cannot be cancelled,
    only deleted.
    """
    return services.cancel_event(actor=current_actor, event_id=event_id, precondition=if_match())


def _location(event_id: UUID | str) -> dict[str, str]:
    return {"Location": flask.url_for("events.get_event", event_id=event_id)}
