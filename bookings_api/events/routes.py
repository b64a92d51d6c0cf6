"""`/events`: browsing events, and what their organizers do with them."""

from typing import Any
from uuid import UUID

import flask
import sqlalchemy as sa

from bookings_api.calendar.icalendar import calendar_of_event
from bookings_api.errors import (
    CapacityBelowBooked,
    EventCancelled,
    EventNotFound,
    EventNotPublished,
    EventStarted,
)
from bookings_api.events import queries, services
from bookings_api.events.schemas import EventChangeSchema, EventCreateSchema, EventQuerySchema, EventSchema
from bookings_api.http.authentication import current_user, viewer
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import if_match
from bookings_api.http.files import calendar_file
from bookings_api.http.openapi.examples import CHANGED_AT, EVENT_CALENDAR, PUBLISHED_AT
from bookings_api.http.rate_limiting.limits import by_account, successes
from bookings_api.http.response_cache.cache import cached
from bookings_api.models import Event, EventStatus

blp = Blueprint("events", __name__, url_prefix="/events", description="Events and their free tickets")

# Examples before anybody has booked, and after everybody has lost the tickets.
_UNBOOKED = {"tickets_booked": 0, "tickets_available": 3}


def _notice(changes: dict[str, Any], *, event_id: UUID) -> str | None:
    """Count for each event what its guests may have to be told; while there are none, and for other fields, nothing.

    What is in the body counts, even if it is so already: what an earlier read says of the event, another request may
    be about to change.
    """
    is_told = bool(changes.keys() & services.NOTIFIED) and queries.has_guests(event_id)
    return by_account("event_id")(event_id=event_id) if is_told else None


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listUpcomingEvents")
@blp.public()
@cached
@blp.listing(EventQuerySchema, EventSchema)
def list_upcoming_events(**filters: Any) -> sa.Select[Any]:
    """List the published events that have not begun.

    The next one comes first unless `sort` says otherwise. Filters narrow the list together.
    """
    return queries.upcoming_events(**filters)


@blp.route("/all", methods=["GET"])
@blp.doc(operationId="listAllEvents")
@blp.login_optional()
@cached
@blp.listing(EventQuerySchema, EventSchema)
def list_all_events(**filters: Any) -> sa.Select[Any]:
    """List all events.

    Past and cancelled ones, too, by their start unless `sort` says otherwise. With the token of an organizer the list
    has drafts of one's own.
    """
    return queries.all_events(viewer=viewer(), **filters)


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createEvent")
@blp.login_required(organizer=True)
@blp.limited("EVENT_LIMIT", by=by_account())
@blp.arguments(EventCreateSchema)
@blp.response(201, EventSchema, headers=LOCATION, example=EventSchema.example(**_UNBOOKED, updated_at=PUBLISHED_AT))
def create_event(event: dict[str, Any]) -> tuple[Event, dict[str, str]]:
    """Create an event.

    It is published at once, and can be booked unless `booking_opens_at` is later; with `status` `draft` only its
    organizer sees it until it is published. The caller is its organizer.
    """
    created = services.create_event(organizer=current_user, **event)
    return created, {"Location": flask.url_for("events.get_event", event_id=created.id)}


@blp.route("/<uuid:event_id>", methods=["GET"])
@blp.doc(operationId="getEvent")
@blp.login_optional()
@cached
@blp.if_none_match()
@blp.problems(EventNotFound)
@blp.response(200, EventSchema)
def get_event(event_id: UUID) -> Event:
    """Get one event.

    `tickets_available` is what is left at this moment; a booking decides under a lock. A draft is found by its
    organizer alone.
    """
    return queries.get_event(event_id, viewer=viewer())


@blp.route("/<uuid:event_id>/calendar.ics", methods=["GET"])
@blp.doc(operationId="getEventCalendar")
@blp.login_optional()
@blp.if_none_match()
@blp.problems(EventNotFound)
@blp.calendar(example=EVENT_CALENDAR)
def get_event_calendar(event_id: UUID) -> flask.Response:
    """Get one event for a calendar.

    To import or to subscribe to, by whoever may see the event. A cancelled event stays in it as `CANCELLED`.
    """
    event = queries.get_event(event_id, viewer=viewer())
    calendar = calendar_of_event(event, mail_from=flask.current_app.config["MAIL_FROM"])
    return calendar_file(calendar, f"event-{event.id}.ics")


@blp.route("/<uuid:event_id>", methods=["PATCH"])
@blp.doc(operationId="changeEvent")
@blp.login_required(organizer=True)
@blp.if_match()
@blp.problems(EventNotFound, EventCancelled, EventStarted, CapacityBelowBooked)
@blp.arguments(EventChangeSchema)
@blp.limited("NOTICE_LIMIT", by=_notice, counts=successes)
@blp.response(
    200,
    EventSchema,
    example=EventSchema.example(
        location="Philharmonie", capacity=5, tickets_available=3, version=2, updated_at=CHANGED_AT
    ),
)
def change_event(changes: dict[str, Any], event_id: UUID) -> Event:
    """Change an event of one's own.

    Only what is sent is changed. Another time or place is mailed to every guest. The capacity cannot go below what is
    booked, and times of an event that has started stand.
    """
    return services.change_event(actor=current_user, event_id=event_id, changes=changes, precondition=if_match())


@blp.route("/<uuid:event_id>", methods=["DELETE"])
@blp.doc(operationId="deleteEvent")
@blp.login_required(organizer=True)
@blp.if_match()
@blp.problems(EventNotFound, EventStarted)
@blp.response(204)
def delete_event(event_id: UUID) -> None:
    """Cancel an event of one's own, and hide it.

    All its bookings are cancelled, and the guests are told by mail, who go on seeing their bookings. A draft is only
    hidden. What has started cannot be deleted.
    """
    services.delete_event(actor=current_user, event_id=event_id, precondition=if_match())


@blp.route("/<uuid:event_id>/publish", methods=["POST"])
@blp.doc(operationId="publishEvent")
@blp.login_required(organizer=True)
@blp.if_match()
@blp.problems(EventNotFound, EventCancelled, EventStarted)
@blp.response(200, EventSchema, example=EventSchema.example(**_UNBOOKED, version=2, updated_at=CHANGED_AT))
def publish_event(event_id: UUID) -> Event:
    """Publish a draft of one's own.

    From then on everybody sees it, and it can be booked. An event that is published already stays as it is.
    """
    return services.publish_event(actor=current_user, event_id=event_id, precondition=if_match())


@blp.route("/<uuid:event_id>/cancel", methods=["POST"])
@blp.doc(operationId="cancelEvent")
@blp.login_required(organizer=True)
@blp.if_match()
@blp.problems(EventNotFound, EventNotPublished, EventStarted)
@blp.response(
    200,
    EventSchema,
    example=EventSchema.example(**_UNBOOKED, status=EventStatus.CANCELLED.value, version=2, updated_at=CHANGED_AT),
)
def cancel_event(event_id: UUID) -> Event:
    """Cancel an event of one's own.

    All its bookings are cancelled, and each guest is told by mail; it stays visible. There is no way back. A second
    time changes nothing and answers the same. A draft is deleted instead.
    """
    return services.cancel_event(actor=current_user, event_id=event_id, precondition=if_match())
