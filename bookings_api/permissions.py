"""Decides what people and programs may do. All permissions go through `may`.

    owner          everything in their organization
    organizer      its people and new events, and everything on the events they are responsible for
    co_organizer   edits an event and manages its bookings, but cannot delete it or manage its team
    check_in       sees the door list of an event
    API key        what its scopes allow, on the events it is restricted to or on all events of its organization;
                   if its creator was no owner, only on those that the creator is responsible for

Everyone else may only see public events and manage their own bookings.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import NamedTuple
from uuid import UUID

from bookings_api.errors import OrganizationNotFound, OrganizationRequired, PermissionDenied
from bookings_api.models import ApiKey, Booking, Event, EventStatus, MemberRole, Scope, TeamRole, User

ORGANIZERS_ONLY = "Only organizers may do that."


class Tenancy(StrEnum):
    """Who can become an organizer, and of which organization (`ORGANIZER_SIGNUP`).

    Only `OWN_ORGANIZATION` has several organizations. In the others, every account is a member of the only one.
    """

    INVITE_ONLY = "invite_only"
    OPEN = "open"
    OWN_ORGANIZATION = "own_organization"

    @property
    def is_single(self) -> bool:
        return self is not Tenancy.OWN_ORGANIZATION


class Action(Enum):
    """What needs a permission. The first group concerns an organization, the second one event."""

    MANAGE_ORGANIZATION = auto()
    MANAGE_KEYS = auto()
    MANAGE_PEOPLE = auto()
    CREATE_EVENTS = auto()

    SEE_DRAFT = auto()
    EDIT_EVENT = auto()
    DELETE_EVENT = auto()
    MANAGE_TEAM = auto()
    SEE_BOOKINGS = auto()
    MANAGE_BOOKINGS = auto()
    SEE_DOOR_LIST = auto()


_OF_ORGANIZER = frozenset({Action.MANAGE_PEOPLE, Action.CREATE_EVENTS})
_ON_OWN_EVENT = frozenset(
    {
        Action.SEE_DRAFT,
        Action.EDIT_EVENT,
        Action.DELETE_EVENT,
        Action.MANAGE_TEAM,
        Action.SEE_BOOKINGS,
        Action.MANAGE_BOOKINGS,
        Action.SEE_DOOR_LIST,
    }
)
_OF_TEAM: Mapping[TeamRole, frozenset[Action]] = {
    TeamRole.CO_ORGANIZER: _ON_OWN_EVENT - {Action.DELETE_EVENT, Action.MANAGE_TEAM},
    TeamRole.CHECK_IN: frozenset({Action.SEE_DRAFT, Action.SEE_DOOR_LIST}),
}
_OF_SCOPE: Mapping[str, frozenset[Action]] = {
    Scope.EVENTS_READ: frozenset({Action.SEE_DRAFT}),
    Scope.EVENTS_WRITE: frozenset({Action.CREATE_EVENTS, Action.SEE_DRAFT, Action.EDIT_EVENT, Action.DELETE_EVENT}),
    Scope.BOOKINGS_READ: frozenset({Action.SEE_BOOKINGS}),
    # responses to changes contain the booking
    Scope.BOOKINGS_WRITE: frozenset({Action.MANAGE_BOOKINGS, Action.SEE_BOOKINGS}),
    Scope.CHECK_IN: frozenset({Action.SEE_DOOR_LIST}),
}


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Whoever sends a request: an account with its roles, or an API key.

    `roles` has the account's role in each organization that it is a member of, and `team` its role in the team of each
    event.
    """

    user: User | None = None
    key: ApiKey | None = None
    roles: Mapping[UUID, MemberRole] = field(default_factory=dict)
    team: Mapping[UUID, TeamRole] = field(default_factory=dict)
    tenancy: Tenancy = Tenancy.INVITE_ONLY

    @property
    def id(self) -> UUID:
        """The ID of the account or key."""
        return (self.user or self.key).id  # type: ignore[union-attr] # one of them is set

    @property
    def responsible_id(self) -> UUID:
        """The ID of the account that answers for what the actor creates: for a key, the one that created the key."""
        return self.key.created_by_id if self.key else self.id


def may(
    actor: Actor | None, action: Action, event: Event | None = None, *, organization_id: UUID | None = None
) -> bool:
    """Whether `actor` may do this to an event or in an organization; without either, in any organization."""
    if actor is None:
        return False
    if event is not None:
        organization_id = event.organization_id
    if actor.key is not None:
        return _key_may(actor.key, action, event, organization_id)
    roles = actor.roles.values() if organization_id is None else (actor.roles.get(organization_id),)
    if any(_member_may(actor, role, action, event) for role in roles):
        return True
    team_role = actor.team.get(event.id) if event is not None else None
    return team_role is not None and action in _OF_TEAM[team_role]


def require(actor: Actor, action: Action, event: Event) -> None:
    """Raise `PermissionDenied` unless `actor`, which must be able to see the event, may perform `action` on it."""
    if not may(actor, action, event):
        raise PermissionDenied("You are not allowed to do this with the event.")


def require_scope(actor: Actor, scope: Scope | None) -> None:
    """Raise `PermissionDenied` if `actor` is an API key without this scope. None means that keys are refused."""
    if actor.key is None:
        return
    if scope is None:
        raise PermissionDenied("API keys cannot be used for this. Log in instead.")
    if scope not in actor.key.scopes:
        raise PermissionDenied(f"The API key needs the scope {scope}.")


def organization_for(actor: Actor, action: Action, organization_id: UUID | None = None) -> UUID:
    """Return the given organization, or the only one where `actor` may do this.

    Raises `PermissionDenied`, `OrganizationNotFound`, and `OrganizationRequired` if there are several.
    """
    own = [actor.key.organization_id] if actor.key else [*actor.roles]
    if organization_id is not None and organization_id not in own:
        raise OrganizationNotFound
    allowed = [one for one in own if organization_id in {None, one} and may(actor, action, organization_id=one)]
    if not allowed:
        raise PermissionDenied(ORGANIZERS_ONLY)
    if len(allowed) > 1:
        raise OrganizationRequired
    return allowed[0]


def may_see(viewer: Actor | None, event: Event) -> bool:
    """Published and cancelled events are public, drafts are visible to those who manage them, deleted events hidden."""
    if event.deleted_at is not None:
        return False
    return event.status is not EventStatus.DRAFT or may(viewer, Action.SEE_DRAFT, event)


def may_manage_booking(actor: Actor, booking: Booking, event: Event) -> bool:
    """Whether `actor` may change and cancel a booking: its buyer may, and those who manage the event's bookings."""
    return is_buyer(actor, booking) or may(actor, Action.MANAGE_BOOKINGS, event)


class KeyReach(NamedTuple):
    """The events that a key may act on: those of its organization, restricted by `events` and `organizer` if set."""

    organization: UUID
    events: Collection[UUID] | None
    organizer: UUID | None


def reach_of_key(key: ApiKey) -> KeyReach:
    """Return the events that a key may act on, for queries."""
    return KeyReach(key.organization_id, key.event_ids, key.created_by_id if key.own_events_only else None)


def is_owner(actor: Actor, organization_id: UUID) -> bool:
    """Whether the account is an owner of the organization."""
    return actor.roles.get(organization_id) is MemberRole.OWNER


def require_own_key(actor: Actor, key: ApiKey) -> None:
    """Raise `PermissionDenied` unless `actor` created the key or is an owner.

    Other organizers could rotate the key and use the new secret on events that they are not responsible for.
    """
    if key.created_by_id != actor.id and not is_owner(actor, key.organization_id):
        raise PermissionDenied("Only owners may change the API keys of others.")


def may_see_booking(actor: Actor, booking: Booking, event: Event) -> bool:
    """Whether `actor` may see a booking and its emails."""
    return is_buyer(actor, booking) or may(actor, Action.SEE_BOOKINGS, event)


def is_self(actor: Actor, user_id: UUID) -> bool:
    """Whether this is the actor's own account."""
    return actor.user is not None and actor.user.id == user_id


def is_buyer(actor: Actor, booking: Booking) -> bool:
    """Whether the account made the booking. Programs manage bookings only by their scopes."""
    return actor.user is not None and booking.user_id == actor.user.id


def _key_may(key: ApiKey, action: Action, event: Event | None, organization_id: UUID | None) -> bool:
    if organization_id not in {None, key.organization_id}:
        return False
    if key.event_ids is not None and (event is None or event.id not in key.event_ids):
        return False
    if key.own_events_only and event is not None and event.organizer_id != key.created_by_id:
        return False
    return any(action in _OF_SCOPE.get(scope, ()) for scope in key.scopes)


def _member_may(actor: Actor, role: MemberRole | None, action: Action, event: Event | None) -> bool:
    if role is MemberRole.OWNER:
        return True
    if role is not MemberRole.ORGANIZER:
        return False
    if action is Action.MANAGE_KEYS:
        return actor.tenancy is Tenancy.OPEN
    is_responsible = event is not None and actor.user is not None and event.organizer_id == actor.user.id
    return action in _OF_ORGANIZER or (is_responsible and action in _ON_OWN_EVENT)


class Drafts(NamedTuple):
    """The drafts that an actor may see: those of `organizations`, its own in `own_in`, and `events`.

    If `organizer` is set, only those of `events` that it organizes.
    """

    organizations: Collection[UUID] = ()
    own_in: Collection[UUID] = ()
    events: Collection[UUID] = ()
    organizer: UUID | None = None


def visible_drafts(viewer: Actor | None) -> Drafts:
    """Return what describes to queries which drafts satisfy `may_see`."""
    if viewer is None:
        return Drafts()
    key = viewer.key
    if key is not None:
        if not any(Action.SEE_DRAFT in _OF_SCOPE.get(scope, ()) for scope in key.scopes):
            return Drafts()
        reach = reach_of_key(key)
        if reach.events is not None:
            return Drafts(events=reach.events, organizer=reach.organizer)
        return (
            Drafts(organizations=[reach.organization])
            if reach.organizer is None
            else Drafts(own_in=[reach.organization])
        )
    return Drafts(
        organizations=[one for one, role in viewer.roles.items() if role is MemberRole.OWNER],
        own_in=[one for one, role in viewer.roles.items() if role is MemberRole.ORGANIZER],
        events=[event for event, role in viewer.team.items() if Action.SEE_DRAFT in _OF_TEAM[role]],
    )
