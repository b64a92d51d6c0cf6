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
    ├── HoldExpired              the hold or the wait for tickets has ended
    ├── BookingNotHeld           only a hold can be extended
    ├── AlreadyExtended          a hold can be extended only once
    ├── BookingNotConfirmed      there is no confirmation to send again
    ├── PaymentRequired          the booking must be paid before it is confirmed
    ├── PaymentMismatch          the payment has the wrong amount or currency, or belongs to another booking
    ├── AlreadyPaid              the booking was already confirmed, usually by another payment
    ├── OthersWaiting            other people wait for these tickets, or the booking itself still waits
    ├── SalesClosed              a ticket type is not on sale now
    ├── SoldOut                  fewer tickets are left than requested
    ├── CapacityBelowBooked      the new capacity is below the number of booked and held tickets
    ├── TooManyTickets           the booking has more tickets than the event or the type allows per booking
    ├── TooManyForPerson         the person would have more tickets than the event allows
    ├── TicketTypeInUse          the ticket type cannot be deleted
    └── IdempotencyKeyReused     the key was already used for a different request

`str(error)` is a message for the client. `bookings_api.http.problems` maps each class to a status and a `code`.
"""

from bookings_api.errors.accounts import (
    AccessRevoked as AccessRevoked,
)
from bookings_api.errors.accounts import (
    ApiKeyNotFound as ApiKeyNotFound,
)
from bookings_api.errors.accounts import (
    BookingsOpen as BookingsOpen,
)
from bookings_api.errors.accounts import (
    EmailNotVerified as EmailNotVerified,
)
from bookings_api.errors.accounts import (
    EmailTaken as EmailTaken,
)
from bookings_api.errors.accounts import (
    InvalidApiKey as InvalidApiKey,
)
from bookings_api.errors.accounts import (
    InvalidCredentials as InvalidCredentials,
)
from bookings_api.errors.accounts import (
    InvalidGrant as InvalidGrant,
)
from bookings_api.errors.accounts import (
    InvalidToken as InvalidToken,
)
from bookings_api.errors.accounts import (
    LastOrganizer as LastOrganizer,
)
from bookings_api.errors.accounts import (
    LastOwner as LastOwner,
)
from bookings_api.errors.accounts import (
    LoginEnded as LoginEnded,
)
from bookings_api.errors.accounts import (
    NotAMember as NotAMember,
)
from bookings_api.errors.accounts import (
    NotAnOrganizer as NotAnOrganizer,
)
from bookings_api.errors.accounts import (
    OrganizationNotFound as OrganizationNotFound,
)
from bookings_api.errors.accounts import (
    OrganizationRequired as OrganizationRequired,
)
from bookings_api.errors.accounts import (
    ResponsibleForEvents as ResponsibleForEvents,
)
from bookings_api.errors.accounts import (
    Unauthenticated as Unauthenticated,
)
from bookings_api.errors.accounts import (
    UserNotFound as UserNotFound,
)
from bookings_api.errors.accounts import (
    WrongPassword as WrongPassword,
)
from bookings_api.errors.base import (
    DomainError as DomainError,
)
from bookings_api.errors.base import (
    IdempotencyKeyReused as IdempotencyKeyReused,
)
from bookings_api.errors.base import (
    InvalidFields as InvalidFields,
)
from bookings_api.errors.base import (
    PermissionDenied as PermissionDenied,
)
from bookings_api.errors.base import (
    StaleVersion as StaleVersion,
)
from bookings_api.errors.bookings import (
    AlreadyExtended as AlreadyExtended,
)
from bookings_api.errors.bookings import (
    AlreadyPaid as AlreadyPaid,
)
from bookings_api.errors.bookings import (
    BookingCancelled as BookingCancelled,
)
from bookings_api.errors.bookings import (
    BookingNotConfirmed as BookingNotConfirmed,
)
from bookings_api.errors.bookings import (
    BookingNotFound as BookingNotFound,
)
from bookings_api.errors.bookings import (
    BookingNotHeld as BookingNotHeld,
)
from bookings_api.errors.bookings import (
    EventNotOpen as EventNotOpen,
)
from bookings_api.errors.bookings import (
    ExternalIdTaken as ExternalIdTaken,
)
from bookings_api.errors.bookings import (
    HoldExpired as HoldExpired,
)
from bookings_api.errors.bookings import (
    OthersWaiting as OthersWaiting,
)
from bookings_api.errors.bookings import (
    PaymentMismatch as PaymentMismatch,
)
from bookings_api.errors.bookings import (
    PaymentRequired as PaymentRequired,
)
from bookings_api.errors.bookings import (
    SalesClosed as SalesClosed,
)
from bookings_api.errors.bookings import (
    SoldOut as SoldOut,
)
from bookings_api.errors.bookings import (
    TooManyForPerson as TooManyForPerson,
)
from bookings_api.errors.bookings import (
    TooManyTickets as TooManyTickets,
)
from bookings_api.errors.bookings import (
    UnverifiedBuyer as UnverifiedBuyer,
)
from bookings_api.errors.events import (
    AlreadyOnTeam as AlreadyOnTeam,
)
from bookings_api.errors.events import (
    CapacityBelowBooked as CapacityBelowBooked,
)
from bookings_api.errors.events import (
    EventCancelled as EventCancelled,
)
from bookings_api.errors.events import (
    EventEnded as EventEnded,
)
from bookings_api.errors.events import (
    EventNotFound as EventNotFound,
)
from bookings_api.errors.events import (
    EventNotPublished as EventNotPublished,
)
from bookings_api.errors.events import (
    EventStarted as EventStarted,
)
from bookings_api.errors.events import (
    TeamMemberNotFound as TeamMemberNotFound,
)
from bookings_api.errors.events import (
    TicketTypeInUse as TicketTypeInUse,
)
from bookings_api.errors.events import (
    TicketTypeNotFound as TicketTypeNotFound,
)
