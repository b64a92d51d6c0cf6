"""`/events/{event_id}/ticket-types`: the kinds of tickets that an event sells."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.database.listing import Listing
from bookings_api.errors import (
    CapacityBelowBooked,
    EventCancelled,
    EventNotFound,
    PermissionDenied,
    TicketTypeInUse,
    TicketTypeNotFound,
)
from bookings_api.http.authentication import current_actor, viewer
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import if_match
from bookings_api.http.idempotency import REPLAYED
from bookings_api.http.openapi.examples import FRONT_ROW_ID
from bookings_api.http.rate_limiting.limits import by_account
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import TicketType
from bookings_api.permissions import Action
from bookings_api.ticket_types import queries, services
from bookings_api.ticket_types.schemas import (
    CapacitySchema,
    TicketTypeChangeSchema,
    TicketTypeCreateSchema,
    TicketTypeQuerySchema,
    TicketTypeSchema,
)

blp = Blueprint("ticket-types", __name__, url_prefix="/events", description="Sell several kinds of tickets")

_FRONT_ROW = {"id": FRONT_ROW_ID, "name": "Front row", "capacity": 2, "tickets_available": 2, "position": 1}


@blp.route("/<uuid:event_id>/ticket-types", methods=["GET"])
@blp.doc(operationId="listTicketTypes")
@blp.login_optional()
@blp.problems(EventNotFound)
@blp.listing(TicketTypeQuerySchema, TicketTypeSchema)
def list_ticket_types(event_id: UUID, sort: str) -> Listing:
    """List the ticket types of an event.

    The types are sorted by `position` or, with `after`, by the time of creation. Includes types whose sales have not
    opened yet or have closed. Includes hidden types only if you manage the event.
    """
    return queries.types_of(event_id, viewer=viewer(), sort=sort)


@blp.route("/<uuid:event_id>/ticket-types", methods=["POST"])
@blp.doc(operationId="createTicketType")
@blp.login_required(with_key=Action.EDIT_EVENT)
@blp.limited("EVENT_LIMIT", by=by_account())
@blp.problems(PermissionDenied, EventNotFound, EventCancelled)
@blp.arguments(TicketTypeCreateSchema)
@blp.idempotent(TicketTypeSchema, replay=lambda created: (HTTPStatus.CREATED, _location(**created)))
@blp.response(201, TicketTypeSchema, headers=LOCATION | REPLAYED, example=TicketTypeSchema.example(**_FRONT_ROW))
def create_ticket_type(
    fields: dict[str, Any], request: IdempotentRequest | None, event_id: UUID
) -> tuple[TicketType, dict[str, str]]:
    """Add a ticket type to one of your events.

    While several types are on sale, each request to book tickets must set `items`.
    """
    created = services.create_type(actor=current_actor, event_id=event_id, request=request, **fields)
    return created, _location(event_id=event_id, id=created.id)


@blp.route("/<uuid:event_id>/ticket-types/<uuid:type_id>", methods=["GET"])
@blp.doc(operationId="getTicketType")
@blp.login_optional()
@blp.if_none_match()
@blp.problems(EventNotFound, TicketTypeNotFound)
@blp.response(200, TicketTypeSchema)
def get_ticket_type(event_id: UUID, type_id: UUID) -> TicketType:
    """Get a ticket type of an event.

    You can get a hidden type only if you manage the event.
    """
    return queries.get_type(event_id, type_id, viewer=viewer())


@blp.route("/<uuid:event_id>/ticket-types/<uuid:type_id>", methods=["PATCH"])
@blp.doc(operationId="changeTicketType")
@blp.login_required(with_key=Action.EDIT_EVENT)
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, TicketTypeNotFound, EventCancelled, CapacityBelowBooked)
@blp.arguments(TicketTypeChangeSchema)
@blp.response(
    200,
    TicketTypeSchema,
    example=TicketTypeSchema.example(name="Front row", capacity=2, tickets_available=0, version=2),
)
def change_ticket_type(changes: dict[str, Any], event_id: UUID, type_id: UUID) -> TicketType:
    """Change a ticket type.

    Omitted fields keep their values. Existing bookings are unaffected. Before you set a price, set the event's
    `currency`.
    """
    return services.change_type(
        actor=current_actor, event_id=event_id, type_id=type_id, changes=changes, precondition=if_match()
    )


@blp.route("/<uuid:event_id>/ticket-types/<uuid:type_id>", methods=["DELETE"])
@blp.doc(operationId="deleteTicketType")
@blp.login_required(with_key=Action.EDIT_EVENT)
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, TicketTypeNotFound, EventCancelled, TicketTypeInUse)
@blp.response(204)
def delete_ticket_type(event_id: UUID, type_id: UUID) -> None:
    """Delete a ticket type.

    You can delete a type only if none of its tickets are booked, held or waited for, and the event has another type.
    Otherwise, hide the type or close its sales. Cancelled bookings still show the deleted type.
    """
    services.delete_type(actor=current_actor, event_id=event_id, type_id=type_id, precondition=if_match())


@blp.route("/<uuid:event_id>/capacity", methods=["GET"])
@blp.doc(operationId="getCapacity")
@blp.login_required(with_key=Action.SEE_BOOKINGS)
@blp.problems(PermissionDenied, EventNotFound)
@blp.response(200, CapacitySchema)
def get_capacity(event_id: UUID) -> dict[str, Any]:
    """Get the ticket counts of one of your events.

    Returns the counts of the event and of all its ticket types, including hidden types. All counts are read at the
    same moment.
    """
    return queries.capacity_of(current_actor, event_id)


def _location(*, event_id: UUID | str, id: UUID | str, **_: Any) -> dict[str, str]:  # noqa: A002 - as in responses
    return {"Location": flask.url_for("ticket-types.get_ticket_type", event_id=event_id, type_id=id)}
