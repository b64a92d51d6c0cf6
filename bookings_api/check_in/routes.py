"""`/events/{event_id}/door-list`: an event's bookings, for check-in helpers."""

from typing import Any
from uuid import UUID

from bookings_api.check_in import queries
from bookings_api.check_in.schemas import DoorListEntrySchema, DoorListQuerySchema
from bookings_api.database.listing import Listing
from bookings_api.errors import EventNotFound, PermissionDenied
from bookings_api.http.authentication import current_actor
from bookings_api.http.blueprint import Blueprint
from bookings_api.permissions import Action

blp = Blueprint("check-in", __name__, url_prefix="/events", description="Admit guests at the door")


@blp.route("/<uuid:event_id>/door-list", methods=["GET"])
@blp.doc(operationId="getDoorList")
@blp.login_required(with_key=Action.SEE_DOOR_LIST)
@blp.problems(PermissionDenied, EventNotFound)
@blp.listing(DoorListQuerySchema, DoorListEntrySchema)
def get_door_list(event_id: UUID, **filters: Any) -> Listing:
    """List an event's bookings for check-in.

    The event's organizer, the event's team and the organization's owners can see this list. The bookings are sorted by
    guest name. If a guest has no name, their email is shown instead. Includes bookings that are not confirmed unless
    you filter by `status`.
    """
    return queries.door_list(current_actor, event_id, **filters)
