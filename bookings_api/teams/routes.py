"""`/events/{event_id}/team` and `/events/{event_id}/transfer`: manage an event's team, and transfer the event."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

import flask

from bookings_api.database.listing import Listing
from bookings_api.errors import (
    AccessRevoked,
    AlreadyOnTeam,
    EmailNotVerified,
    EventNotFound,
    NotAnOrganizer,
    PermissionDenied,
    TeamMemberNotFound,
)
from bookings_api.events.schemas.responses import EventSchema
from bookings_api.http.authentication import current_actor
from bookings_api.http.blueprint import LOCATION, Blueprint
from bookings_api.http.conditional import ETAG, if_match
from bookings_api.http.idempotency import REPLAYED
from bookings_api.http.openapi.examples import CHANGED_AT, COLLEAGUE
from bookings_api.http.rate_limiting.limits import (
    by_account,
    by_invited_mailbox,
    by_inviter_and_mailbox,
    of_mailbox,
    successes,
)
from bookings_api.http.schemas import PageQuerySchema
from bookings_api.idempotency import IdempotentRequest
from bookings_api.models import Event, TeamEntry, TeamRole
from bookings_api.teams import queries, services
from bookings_api.teams.schemas import (
    TeamMemberChangeSchema,
    TeamMemberCreateSchema,
    TeamMemberSchema,
    TransferSchema,
)

blp = Blueprint("teams", __name__, url_prefix="/events", description="Manage event teams, and transfer events")


def _mailbox(changes: dict[str, Any], *, event_id: UUID, user_id: UUID) -> str:
    """Return the rate limit key for a change of role: one per team member's email (without `+` suffix)."""
    return of_mailbox(queries.get_entry(current_actor, event_id, user_id).email)


def _status_and_location(event_id: UUID | str, user_id: UUID | str, version: int) -> tuple[HTTPStatus, dict[str, str]]:
    """Return the status and headers of the response: 201 for a new team member, otherwise 200."""
    if version > 1:
        return HTTPStatus.OK, {}
    location = flask.url_for("teams.get_team_member", event_id=event_id, user_id=user_id)
    return HTTPStatus.CREATED, {"Location": location}


def _replay(member: dict[str, Any]) -> tuple[HTTPStatus, dict[str, str]]:
    event_id = flask.request.view_args["event_id"]  # type: ignore[index] # the route has parameters
    return _status_and_location(event_id, member["user_id"], member["version"])


@blp.route("/<uuid:event_id>/team", methods=["GET"])
@blp.doc(operationId="listTeam")
@blp.login_required()
@blp.problems(PermissionDenied, EventNotFound)
@blp.listing(PageQuerySchema, TeamMemberSchema)
def list_team(event_id: UUID) -> Listing:
    """List an event's team.

    Returns the team's members and the people invited to it, sorted by email. Only the event's organizer and the
    organization's owners can list the team.
    """
    return queries.team_of(current_actor, event_id)


@blp.route("/<uuid:event_id>/team", methods=["POST"])
@blp.doc(operationId="addTeamMember")
@blp.login_required()
@blp.problems(PermissionDenied, EventNotFound, AlreadyOnTeam, AccessRevoked)
@blp.arguments(TeamMemberCreateSchema)
@blp.idempotent(TeamMemberSchema, replay=_replay)
@blp.limited("INVITATION_LIMIT", by=by_account(), counts=successes)
@blp.limited("GUEST_MAIL_LIMIT", by=by_inviter_and_mailbox, counts=successes)
@blp.limited("MAILBOX_LIMIT", by=by_invited_mailbox, counts=successes)
@blp.alt_response(
    200,
    schema=TeamMemberSchema,
    headers=ETAG | REPLAYED,
    example=TeamMemberSchema.example(version=2),
    description="The person was invited again. The earlier invitation stops working.",
    success=True,
)
@blp.response(201, TeamMemberSchema, headers=LOCATION | REPLAYED)
def add_team_member(
    member: dict[str, Any], request: IdempotentRequest | None, event_id: UUID
) -> tuple[TeamEntry, HTTPStatus, dict[str, str]]:
    """Add a person to an event's team.

    Members of your organization with a verified email join immediately and are notified by email. Everyone else gets an
    invitation by email and joins when they accept. The token in the email works only once and expires after seven days.
    Until they accept, you can invite them again. The response is then 200, and the earlier token stops working.
    """
    entry = services.add_team_member(actor=current_actor, event_id=event_id, request=request, **member)
    return entry, *_status_and_location(event_id, entry.user_id, entry.version)


@blp.route("/<uuid:event_id>/team/<uuid:user_id>", methods=["GET"])
@blp.doc(operationId="getTeamMember")
@blp.login_required()
@blp.if_none_match()
@blp.problems(PermissionDenied, EventNotFound, TeamMemberNotFound)
@blp.response(200, TeamMemberSchema)
def get_team_member(event_id: UUID, user_id: UUID) -> TeamEntry:
    """Get a person on an event's team.

    Every member can see their own role. Only the event's organizer and the organization's owners can see other people's
    roles.
    """
    return queries.get_entry(current_actor, event_id, user_id)


@blp.route("/<uuid:event_id>/team/<uuid:user_id>", methods=["PATCH"])
@blp.doc(operationId="changeTeamMember")
@blp.login_required()
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, TeamMemberNotFound)
@blp.arguments(TeamMemberChangeSchema)
@blp.limited("NOTIFICATION_LIMIT", by=_mailbox, counts=successes)
@blp.response(200, TeamMemberSchema, example=TeamMemberSchema.example(role=TeamRole.CO_ORGANIZER.value, version=2))
def change_team_member(changes: dict[str, Any], event_id: UUID, user_id: UUID) -> TeamEntry:
    """Change a person's role on an event's team.

    Members are notified by email. A person whose invitation is still pending gets a new invitation instead, and the
    earlier token stops working.
    """
    return services.change_team_member(
        actor=current_actor, event_id=event_id, user_id=user_id, changes=changes, precondition=if_match()
    )


@blp.route("/<uuid:event_id>/team/<uuid:user_id>", methods=["DELETE"])
@blp.doc(operationId="removeTeamMember")
@blp.login_required()
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, TeamMemberNotFound)
@blp.response(204)
def remove_team_member(event_id: UUID, user_id: UUID) -> None:
    """Remove a person from an event's team, or revoke their invitation.

    Takes effect immediately. Members are notified by email, but people whose invitation is still pending are not. To
    leave a team, send your own ID.
    """
    services.remove_team_member(actor=current_actor, event_id=event_id, user_id=user_id, precondition=if_match())


@blp.route("/<uuid:event_id>/transfer", methods=["POST"])
@blp.doc(operationId="transferEvent")
@blp.login_required()
@blp.limited("NOTIFICATION_LIMIT", by=by_account("event_id"), counts=successes)
@blp.if_match()
@blp.problems(PermissionDenied, EventNotFound, NotAnOrganizer, EmailNotVerified)
@blp.arguments(TransferSchema)
@blp.response(
    200, EventSchema, example=EventSchema.example(organizer_id=COLLEAGUE["id"], version=2, updated_at=CHANGED_AT)
)
def transfer_event(person: dict[str, Any], event_id: UUID) -> Event:
    """Transfer an event to another organizer.

    The new organizer must be an active organizer or owner of the same organization and have a verified email. They are
    notified by email. Unless you are an owner, you can no longer manage the event. The event's contact does not change.
    """
    return services.transfer_event(actor=current_actor, event_id=event_id, precondition=if_match(), **person)
