"""`/events`: browsing and creating events."""

from typing import Any
from uuid import UUID

import flask
import sqlalchemy as sa

from bookings_api.errors import EventNotFound
from bookings_api.events import queries, services
from bookings_api.events.schemas import EventCreateSchema, EventSchema
from bookings_api.http.authentication import current_user, viewer
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.models import Event

blp = Blueprint("events", __name__, url_prefix="/events", description="Events and their free tickets")


@blp.route("/", methods=["GET"])
@blp.doc(operationId="listUpcomingEvents")
@blp.public()
@blp.listing(PageQuerySchema, EventSchema)
def list_upcoming_events() -> sa.Select[Any]:
    """List the published events that have not begun, the next one first."""
    return queries.upcoming_events()


@blp.route("/all", methods=["GET"])
@blp.doc(operationId="listAllEvents")
@blp.login_optional()
@blp.listing(PageQuerySchema, EventSchema)
def list_all_events() -> sa.Select[Any]:
    """List all events by their start, past and cancelled ones too.

    Organizers also see drafts of their own.
    """
    return queries.all_events(viewer=viewer())


@blp.route("/", methods=["POST"])
@blp.doc(operationId="createEvent")
@blp.login_required(organizer=True)
@blp.arguments(EventCreateSchema)
@blp.response(201, EventSchema, headers=LOCATION)
def create_event(event: dict[str, Any]) -> tuple[Event, dict[str, str]]:
    """Create an event."""
    created = services.create_event(organizer=current_user, **event)
    return created, {"Location": flask.url_for("events.get_event", event_id=created.id)}


@blp.route("/<uuid:event_id>", methods=["GET"])
@blp.doc(operationId="getEvent")
@blp.login_optional()
@blp.problems(EventNotFound)
@blp.response(200, EventSchema)
def get_event(event_id: UUID) -> Event:
    """Get one event."""
    return queries.get_event(event_id, viewer=viewer())
