"""Decides what accounts and API keys may do. The function `may` checks the permission for an `Action`.

    owner          can do everything in the organization
    organizer      manages the organization's people, creates events, and can do everything with their own events;
                   also manages API keys if `ORGANIZER_SIGNUP` is `open`
    co_organizer   edits an event and manages its bookings, but cannot delete the event or manage its team
    check_in       sees an event and its door list
    API key        can do what its scopes allow with the organization's events; the key can be restricted to certain
                   events, and an organizer's key is restricted to the organizer's own events

All other accounts can only see public events and manage their own bookings.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import NamedTuple
from uuid import UUID

from bookings_api.errors import OrganizationNotFound, OrganizationRequired, PermissionDenied
from bookings_api.models import ApiKey, Booking, Event, EventStatus, MemberRole, Scope, TeamRole, User

ORGANIZERS_ONLY = "Only organizers can do this."


class Tenancy(StrEnum):
    """How accounts become organizers (the setting `ORGANIZER_SIGNUP`).

    With `OWN_ORGANIZATION`, there can be several organizations. With the other values, there is a single organization,
    and everyone who signs up becomes a member.
    """

    INVITE_ONLY = "invite_only"
    OPEN = "open"
    OWN_ORGANIZATION = "own_organization"

    @property
    def is_single(self) -> bool:
        return self is not Tenancy.OWN_ORGANIZATION


class Action(Enum):
    """An action that requires permission. The first four concern an organization, and the others a single event."""

    MANAGE_ORGANIZATION = auto()
    MANAGE_KEYS = auto()
    MANAGE_PEOPLE = auto()
    CREATE_EVENTS = auto()

    SEE_DRAFT = auto()
    SEE_HIDDEN_TYPES = auto()
    EDIT_EVENT = auto()
    DELETE_EVENT = auto()
    MANAGE_TEAM = auto()
    SEE_BOOKINGS = auto()
    MANAGE_BOOKINGS = auto()
    SEE_DOOR_LIST = auto()


_OF_ORGANIZER = frozenset({Action.MANAGE_PEOPLE, Action.CREATE_EVENTS})
_ON_OWN_EVENT = frozenset(Action) - _OF_ORGANIZER - {Action.MANAGE_ORGANIZATION, Action.MANAGE_KEYS}
_OF_TEAM: Mapping[TeamRole, frozenset[Action]] = {
    TeamRole.CO_ORGANIZER: _ON_OWN_EVENT - {Action.DELETE_EVENT, Action.MANAGE_TEAM},
    TeamRole.CHECK_IN: frozenset({Action.SEE_DRAFT, Action.SEE_DOOR_LIST}),
}
# The API key scopes that allow each action. API keys may not perform any other action.
_SCOPES: Mapping[Action, tuple[Scope, ...]] = {
    Action.CREATE_EVENTS: (Scope.EVENTS_WRITE,),
    Action.SEE_DRAFT: (Scope.EVENTS_READ, Scope.EVENTS_WRITE),
    Action.SEE_HIDDEN_TYPES: (Scope.EVENTS_READ, Scope.EVENTS_WRITE),
    Action.EDIT_EVENT: (Scope.EVENTS_WRITE,),
    Action.DELETE_EVENT: (Scope.EVENTS_WRITE,),
    Action.SEE_BOOKINGS: (Scope.BOOKINGS_READ,),
    Action.MANAGE_BOOKINGS: (Scope.BOOKINGS_WRITE,),
    Action.SEE_DOOR_LIST: (Scope.CHECK_IN,),
}


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The sender of a request: an account with its roles, or an API key.

    `roles` maps the IDs of organizations to the account's roles in them. `team` maps the IDs of events to the account's
    roles in their teams.
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
        """The ID of the account responsible for what the actor creates. For an API key, this is the key's creator."""
        return self.key.created_by_id if self.key else self.id


def may(
    actor: Actor | None, action: Action, event: Event | None = None, *, organization_id: UUID | None = None
) -> bool:
    """Whether `actor` may perform `action` on an event or in an organization.

    Without `event` and `organization_id`, whether the actor may perform `action` in at least one organization.
    """
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
    """Raise `PermissionDenied` unless `actor` may perform `action` on the event.

    Callers must first check that the actor can see the event, because the error reveals that the event exists.
    """
    if not may(actor, action, event):
        raise PermissionDenied("You do not have permission to do this to the event.")


def require_key_may(actor: Actor, action: Action | None) -> None:
    """Raise `PermissionDenied` if `actor` is an API key whose scopes or restrictions never allow `action`.

    If `action` is None, refuse all API keys.
    """
    if actor.key is None:
        return
    if action is None:
        raise PermissionDenied("API keys cannot be used for this. Log in instead.")
    if not _allows(actor.key, action):
        raise PermissionDenied(f"The API key needs the scope {scope_for(action)}.")
    if not may(actor, action):
        raise PermissionDenied("This API key is restricted to certain events.")


def scope_for(action: Action) -> Scope:
    """Return the scope that an action requires, as the documentation and error messages say."""
    return _SCOPES[action][0]


def organization_for(actor: Actor, action: Action, organization_id: UUID | None = None) -> UUID:
    """Return `organization_id`, or by default the ID of the only organization in which `actor` may perform `action`.

    Raises `OrganizationNotFound` if the actor does not belong to the given organization, `PermissionDenied` if the
    action is not allowed, and `OrganizationRequired` if several organizations are possible.
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
    """Whether `viewer` may see the event. Published and cancelled events are public, and deleted events are hidden."""
    if event.deleted_at is not None:
        return False
    return event.status is not EventStatus.DRAFT or may(viewer, Action.SEE_DRAFT, event)


def may_manage_booking(actor: Actor, booking: Booking, event: Event) -> bool:
    """Whether `actor` may change and cancel a booking, either as the buyer or by managing the event's bookings."""
    return is_buyer(actor, booking) or may(actor, Action.MANAGE_BOOKINGS, event)


class KeyReach(NamedTuple):
    """The IDs that determine which events an API key may act on.

    The events must belong to `organization`. If `events` is set, the key may act on only these events. If `organizer`
    is set, this account must organize the events.
    """

    organization: UUID
    events: Collection[UUID] | None
    organizer: UUID | None


def reach_of_key(key: ApiKey) -> KeyReach:
    """Return the IDs of the organization, events and organizer to which an API key is restricted."""
    return KeyReach(key.organization_id, key.event_ids, key.created_by_id if key.own_events_only else None)


def is_owner(actor: Actor, organization_id: UUID) -> bool:
    """Whether the account is an owner of the organization."""
    return actor.roles.get(organization_id) is MemberRole.OWNER


def require_own_key(actor: Actor, key: ApiKey) -> None:
    """Raise `PermissionDenied` unless `actor` created the key or is an owner.

    Without this check, an organizer could rotate another person's key and use the new secret on that person's events.
    """
    if key.created_by_id != actor.id and not is_owner(actor, key.organization_id):
        raise PermissionDenied("Only owners can change the API keys of other people.")


def may_see_booking(actor: Actor, booking: Booking, event: Event) -> bool:
    """Whether `actor` may see a booking and its emails."""
    # includes everyone who may change the booking, because the response to a change contains the booking
    return may_manage_booking(actor, booking, event) or may(actor, Action.SEE_BOOKINGS, event)


def is_self(actor: Actor, user_id: UUID) -> bool:
    """Whether `user_id` is the ID of the actor's own account."""
    return actor.user is not None and actor.user.id == user_id


def is_buyer(actor: Actor, booking: Booking) -> bool:
    """Whether the actor's account made the booking. Always false for API keys."""
    return actor.user is not None and booking.user_id == actor.user.id


def _key_may(key: ApiKey, action: Action, event: Event | None, organization_id: UUID | None) -> bool:
    if organization_id not in {None, key.organization_id}:
        return False
    if key.event_ids is not None and (event.id not in key.event_ids if event else action not in _ON_OWN_EVENT):
        return False
    if key.own_events_only and event is not None and event.organizer_id != key.created_by_id:
        return False
    return _allows(key, action)


def _allows(key: ApiKey, action: Action) -> bool:
    return any(scope in key.scopes for scope in _SCOPES.get(action, ()))


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
    """The IDs that determine which drafts an actor may see."""

    # all drafts of these organizations
    organizations: Collection[UUID] = ()
    # the drafts of these organizations for which the actor is responsible
    own_in: Collection[UUID] = ()
    # these drafts or, if `organizer` is set, only those that this account organizes
    events: Collection[UUID] = ()
    organizer: UUID | None = None


def visible_drafts(viewer: Actor | None) -> Drafts:
    """Return the IDs that select the drafts for which `may_see` is true."""
    if viewer is None:
        return Drafts()
    key = viewer.key
    if key is not None:
        if not _allows(key, Action.SEE_DRAFT):
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
