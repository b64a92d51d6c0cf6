"""Domain errors, independent of HTTP.

    DomainError
    ├── Unauthenticated          the token is missing, invalid or expired
    │   ├── LoginEnded           the login has ended, or the account is inactive
    │   ├── InvalidApiKey        the API key is unknown, expired or revoked
    │   └── InvalidCredentials   the email or the password is incorrect
    │       └── InvalidGrant     the same in a request to the OAuth 2.0 token endpoint
    ├── PermissionDenied         the actor lacks the required role, scope or ownership
    ├── OrganizationNotFound
    ├── OrganizationRequired     the actor belongs to several organizations and must choose one
    ├── UserNotFound
    ├── TeamMemberNotFound       the person is not on the event's team
    ├── ApiKeyNotFound
    ├── EventNotFound
    ├── TicketTypeNotFound
    ├── BookingNotFound
    ├── InvalidFields            the fields match the schema but are not valid in this request
    ├── InvalidToken             the emailed token is unknown, used or expired
    ├── WrongPassword            the current password is incorrect
    ├── EmailTaken
    ├── NotAMember               the person is not a member of the organization
    ├── AlreadyOnTeam            the person already organizes the event or is on its team
    ├── AccessRevoked            the organization has revoked the person's access
    ├── NotAnOrganizer           the person is not an organizer, so they cannot be responsible for an event
    ├── EmailNotVerified         the person's email is not verified, so they cannot get the role or the event
    │   └── UnverifiedBuyer      the account must verify its email before it can book
    ├── LastOwner                the organization would have no active owner
    ├── LastOrganizer            the organization would have no active organizer
    ├── BookingsOpen             the account cannot be deleted, because it has bookings that can still be cancelled
    ├── ResponsibleForEvents     the account cannot be deleted, because it organizes events that have not ended
    ├── StaleVersion             the resource has changed since the client read it
    ├── ExternalIdTaken          a different booking in the organization has this external ID
    ├── EventNotOpen             the event is a draft, cancelled, ended, or outside its booking window
    ├── EventStarted             the event has started, so its start can no longer be changed
    ├── EventEnded               the event has ended, so this change is no longer possible
    ├── EventNotPublished        the event is a draft
    ├── EventCancelled
    ├── BookingCancelled
    ├── SalesClosed              a ticket type is not on sale now
    ├── SoldOut                  fewer tickets are left than requested
    ├── CapacityBelowBooked      the new capacity is below the number of booked tickets
    ├── TooManyTickets           the booking has more tickets than the event or the type allows per booking
    ├── TooManyForPerson         the person would have more tickets than the event allows
    ├── TicketTypeInUse          the ticket type cannot be deleted
    └── IdempotencyKeyReused     the key was already used for a different request

`str(error)` is a message for the client. `bookings_api.http.problems` maps each class to a status and a `code`.
"""

from collections.abc import Mapping
from uuid import UUID


class DomainError(Exception):
    """Base class of all domain errors. `extensions` are machine-readable details."""

    message: str  # the default message; not set in classes whose message always depends on the situation

    def __init__(self, message: str | None = None, **extensions: object) -> None:
        super().__init__(message or self.message)
        self.extensions = extensions


class Unauthenticated(DomainError):
    """The request has no valid token."""


class LoginEnded(Unauthenticated):
    """The login has ended, for example because the user logged out, changed the password or lost access."""

    message = "This login has ended. Please log in again."


class InvalidApiKey(Unauthenticated):
    message = "The API key is unknown, expired or revoked."


class InvalidCredentials(Unauthenticated):
    """The email or the password is incorrect. The message does not say which."""

    message = "The email or the password is incorrect."


class InvalidGrant(InvalidCredentials):
    """Invalid credentials in an OAuth 2.0 password grant. Includes the members required by RFC 6749, section 5.2."""

    def __init__(self) -> None:
        super().__init__(error="invalid_grant", error_description=self.message)


class PermissionDenied(DomainError):
    """The actor lacks the required role, scope or ownership."""


class OrganizationNotFound(DomainError):
    message = "The organization does not exist or is not visible to you."


class OrganizationRequired(DomainError):
    message = "You belong to several organizations. Choose one with organization_id."


class UserNotFound(DomainError):
    message = "The account does not exist."


class TeamMemberNotFound(DomainError):
    message = "This person is not on the event's team."


class ApiKeyNotFound(DomainError):
    message = "The API key does not exist or is revoked."


class EventNotFound(DomainError):
    message = "The event does not exist or is not visible to you."


class TicketTypeNotFound(DomainError):
    message = "The ticket type does not exist or is not visible to you."


class BookingNotFound(DomainError):
    message = "The booking does not exist or is not visible to you."


class InvalidFields(DomainError):
    """Fields match the schema but are not valid in this request, for example because they contradict stored values.

    `fields` maps the names of the invalid fields to messages.
    """

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
    message = "This person already organizes the event or is on its team."


class AccessRevoked(DomainError):
    message = "Your organization has revoked this person's access. Restore it first."


class NotAnOrganizer(DomainError):
    message = "This person is not an active organizer of the organization. Make them an organizer first."


class EmailNotVerified(DomainError):
    message = "The email of this account is not verified. Invite the person instead."


class UnverifiedBuyer(EmailNotVerified):
    message = "Verify your email before you book. The token is in the email that you got when you signed up."


class LastOwner(DomainError):
    """An owner cannot lose their role or access, because the organization has no other active owner."""

    message = "This is the last active owner of the organization. Make another member an owner first."


class LastOrganizer(DomainError):
    """An organizer cannot lose their role or access, because the organization has no other active organizer.

    Raised instead of `LastOwner` if `ORGANIZER_SIGNUP` is `open`.
    """

    message = "This is the last active organizer. Make another account an organizer first."


class BookingsOpen(DomainError):
    message = "You have upcoming bookings. Cancel them first, or set cancel_bookings to true."


class ResponsibleForEvents(DomainError):
    message = "You organize events that have not ended. Cancel, delete or transfer these events first."


class StaleVersion(DomainError):
    message = "The resource has changed since you read it. Fetch it again and retry."


class EventStarted(DomainError):
    message = "The event has started. Its start time can no longer be changed."


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


class SalesClosed(DomainError):
    """A ticket type is not on sale now. The message says why."""


class SoldOut(DomainError):
    """The event, or one of its ticket types, has fewer tickets left than requested."""

    def __init__(self, tickets_available: int, name: str | None = None, ticket_type_id: UUID | None = None) -> None:
        few = {0: "No tickets are left", 1: "Only 1 ticket is left"}
        message = few.get(tickets_available, f"Only {tickets_available} tickets are left")
        ticket_type = {} if ticket_type_id is None else {"ticket_type_id": str(ticket_type_id)}
        super().__init__(
            f"{message} of {name}." if name else f"{message}.", **ticket_type, tickets_available=tickets_available
        )


class TicketTypeInUse(DomainError):
    """The ticket type cannot be deleted. The message says why."""


class CapacityBelowBooked(DomainError):
    """The new capacity is below the number of tickets already booked."""

    def __init__(self, tickets_booked: int) -> None:
        message = f"Must be at least {tickets_booked}, the number of booked tickets."
        super().__init__(message, tickets_booked=tickets_booked)


class IdempotencyKeyReused(DomainError):
    message = "This idempotency key was already used for a different request. Choose a new key."


class ExternalIdTaken(DomainError):
    message = "Your organization has a different booking with this external ID."


class TooManyForPerson(DomainError):
    """The person would have more tickets than the event allows."""

    def __init__(self, limit: int, booked: int) -> None:
        tickets = f"{limit} {'ticket' if limit == 1 else 'tickets'}"
        already = f"{booked} {'is' if booked == 1 else 'are'} already booked"
        message = f"A person can have at most {tickets} for this event. {already}."
        super().__init__(message, max_tickets_per_person=limit, tickets_booked=booked)


class TooManyTickets(DomainError):
    """The booking has more tickets than the event, or one of its ticket types, allows per booking."""

    def __init__(self, limit: int, name: str | None = None, *, field: str = "ticket_count") -> None:
        tickets = f"{limit} {'ticket' if limit == 1 else 'tickets'}"
        if name is None:
            super().__init__(f"A booking for this event can have at most {tickets}.", max_tickets_per_booking=limit)
        else:
            super().__init__(f"A booking can have at most {tickets} of {name}.", max_per_booking=limit)
        self.fields = {field: str(self)}
