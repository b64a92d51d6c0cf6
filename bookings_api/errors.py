"""Domain errors, independent of HTTP.

    DomainError
    ├── Unauthenticated          no access token, or an invalid one
    │   ├── LoginEnded           logged out, or the account is inactive
    │   ├── InvalidApiKey        unknown, expired or revoked
    │   └── InvalidCredentials   incorrect email or password
    │       └── InvalidGrant     the same, as OAuth2 reports it
    ├── PermissionDenied         the account lacks the required role or ownership
    ├── OrganizationNotFound
    ├── OrganizationRequired     the actor belongs to several organizations
    ├── UserNotFound
    ├── TeamMemberNotFound       the person has no role in the team of the event
    ├── ApiKeyNotFound
    ├── EventNotFound
    ├── BookingNotFound
    ├── InvalidFields            fields that contradict the rest of the record
    ├── InvalidToken             an emailed token that is unknown, used or expired
    ├── WrongPassword            the current password is incorrect
    ├── EmailTaken
    ├── NotAMember               only members of an organization have a role in it
    ├── AlreadyOnTeam            the person already has a role in the event
    ├── AccessRevoked            the organization has revoked the person's access
    ├── NotAnOrganizer           only organizers can be responsible for an event
    ├── EmailNotVerified         an unverified address gets no rights
    │   └── UnverifiedBuyer      only verified addresses may book
    ├── LastOwner                no active owner would remain
    ├── LastOrganizer            no active organizer would remain
    ├── BookingsOpen             the account has bookings that can still be cancelled
    ├── ResponsibleForEvents     the account organizes events that have not ended
    ├── StaleVersion             the resource has changed since the client read it
    ├── ExternalIdTaken          a different booking of the organization has this external ID
    ├── EventNotOpen             draft, cancelled, ended, or outside the booking window
    ├── EventStarted             the start can no longer be changed
    ├── EventEnded               the event has ended, so this change is no longer possible
    ├── EventNotPublished        the event is a draft
    ├── EventCancelled
    ├── BookingCancelled
    ├── SoldOut                  fewer tickets left than requested
    ├── CapacityBelowBooked      the new capacity is below the number of booked tickets
    ├── TooManyTickets           more tickets than the event allows per booking
    └── IdempotencyKeyReused     the key was already used for a different request

`str(error)` is a message for the client. `bookings_api.http.problems` maps each class to a status and a `code`.
"""

from collections.abc import Mapping


class DomainError(Exception):
    """Base class of all domain errors. `extensions` are machine-readable details."""

    message: str  # the default message; not set if the message always depends on the situation

    def __init__(self, message: str | None = None, **extensions: object) -> None:
        super().__init__(message or self.message)
        self.extensions = extensions


class Unauthenticated(DomainError):
    """The request carries no valid access token."""


class LoginEnded(Unauthenticated):
    """The login has ended, for example because of a logout, a new password or a deactivation."""

    message = "This login has ended. Please log in again."


class InvalidApiKey(Unauthenticated):
    message = "The API key is unknown, expired or revoked."


class InvalidCredentials(Unauthenticated):
    """The email or the password is incorrect. The message never says which."""

    message = "The email or the password is incorrect."


class InvalidGrant(InvalidCredentials):
    """Invalid credentials in an OAuth2 password form, with the members that RFC 6749, section 5.2 requires."""

    def __init__(self) -> None:
        super().__init__(error="invalid_grant", error_description=self.message)


class PermissionDenied(DomainError):
    """The account is active but lacks the required role or ownership."""


class OrganizationNotFound(DomainError):
    message = "The organization does not exist or is not visible to you."


class OrganizationRequired(DomainError):
    message = "You belong to several organizations. Choose one of them."


class UserNotFound(DomainError):
    message = "The account does not exist."


class TeamMemberNotFound(DomainError):
    message = "This person is not on the team of the event."


class ApiKeyNotFound(DomainError):
    message = "The API key does not exist or is revoked."


class EventNotFound(DomainError):
    message = "The event does not exist or is not visible to you."


class BookingNotFound(DomainError):
    message = "The booking does not exist or is not visible to you."


class InvalidFields(DomainError):
    """Fields that are valid on their own but contradict the rest of the record. `fields` maps names to messages."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" for name, message in fields.items()))
        self.fields = fields


class InvalidToken(DomainError):
    message = "The token is invalid, was already used, or has expired. Request a new one."


class WrongPassword(DomainError):
    message = "The current password is incorrect."


class EmailTaken(DomainError):
    message = "An account with this email already exists."


class NotAMember(DomainError):
    message = "This person is not a member of your organization. Invite them instead."


class AlreadyOnTeam(DomainError):
    message = "This person is already on the team of the event, or responsible for it."


class AccessRevoked(DomainError):
    message = "Your organization has revoked this person's access. Restore it first."


class NotAnOrganizer(DomainError):
    message = "This person is not an active organizer of the organization. Give them that role first."


class EmailNotVerified(DomainError):
    message = "The email of this account is not verified. Send an invitation to it instead."


class UnverifiedBuyer(EmailNotVerified):
    message = "Verify your email before you book. The email you got when you signed up contains a token."


class LastOwner(DomainError):
    """The account must keep its role and access because no other active owner would remain."""

    message = "This is the last owner of an organization. Make another member an owner first."


class LastOrganizer(DomainError):
    """The account must keep its role and access because no other active organizer would remain."""

    message = "This is the last active organizer. Make another account an organizer first."


class BookingsOpen(DomainError):
    message = "You have upcoming bookings. Cancel them first, or set cancel_bookings to true."


class ResponsibleForEvents(DomainError):
    message = "You organize events that have not ended. Cancel or delete them first, or let someone else organize them."


class StaleVersion(DomainError):
    message = "The resource has changed since you read it. Fetch it again and retry."


class EventStarted(DomainError):
    message = "The event has started. Its start can no longer be changed."


class EventEnded(DomainError):
    """The event has ended, so this change is no longer possible."""


class EventNotPublished(DomainError):
    message = "The event is a draft. Delete it instead of cancelling it."


class EventCancelled(DomainError):
    message = "The event is cancelled."


class BookingCancelled(DomainError):
    message = "The booking is cancelled."


class EventNotOpen(DomainError):
    """The event is not open for booking. The message says why."""


class SoldOut(DomainError):
    """Fewer tickets are left than requested."""

    def __init__(self, tickets_available: int) -> None:
        few = {0: "No tickets are left.", 1: "Only 1 ticket is left."}
        message = few.get(tickets_available, f"Only {tickets_available} tickets are left.")
        super().__init__(message, tickets_available=tickets_available)


class CapacityBelowBooked(DomainError):
    """The new capacity is below the number of tickets already booked."""

    def __init__(self, tickets_booked: int) -> None:
        message = f"Must be at least {tickets_booked}, the number of booked tickets."
        super().__init__(message, tickets_booked=tickets_booked)


class IdempotencyKeyReused(DomainError):
    message = "This idempotency key was already used for a different request. Choose a new key."


class ExternalIdTaken(DomainError):
    message = "Your organization has a different booking with this external ID."


class TooManyTickets(DomainError):
    """More tickets than the event allows per booking."""

    def __init__(self, limit: int) -> None:
        message = f"A booking for this event can have at most {limit} {'ticket' if limit == 1 else 'tickets'}."
        super().__init__(message, max_tickets_per_booking=limit)
