"""Domain errors, independent of HTTP.

    BookingError
    ├── Unauthenticated          no access token, or an invalid one
    │   ├── LoginEnded           logged out, or the account is inactive
    │   └── InvalidCredentials   incorrect email or password
    │       └── InvalidGrant     the same, reported to an OAuth2 client
    ├── PermissionDenied         the account lacks the required role or ownership
    ├── UserNotFound
    ├── EventNotFound
    ├── BookingNotFound
    ├── InvalidFields            fields that contradict the rest of the record
    ├── InvalidToken             an emailed token that is unknown, used or expired
    ├── WrongPassword            the current password is incorrect
    ├── EmailTaken
    ├── LastOrganizer            no active organizer would remain
    ├── StaleVersion             the resource has changed since the client read it
    ├── EventNotOpen             draft, cancelled, started, or outside its booking window
    ├── EventStarted             too late to reschedule, cancel or release tickets
    ├── EventNotPublished        the event is a draft
    ├── EventCancelled
    ├── BookingCancelled
    ├── SoldOut                  fewer tickets left than requested
    ├── CapacityBelowBooked      the new capacity is below the number of booked tickets
    ├── TooManyTickets           more tickets than the event allows per booking
    └── IdempotencyKeyReused     the key was already used for a different request

`str(error)` is a message for the client. `bookings_api.http.problems` maps each error to a status and a `code`.
"""

from collections.abc import Mapping


class BookingError(Exception):
    """Base class of all domain errors. `extensions` are machine-readable values that accompany the message."""

    def __init__(self, message: str, **extensions: object) -> None:
        super().__init__(message)
        self.extensions = extensions


class Unauthenticated(BookingError):
    """The request carries no valid access token."""


class LoginEnded(Unauthenticated):
    """The login was ended by a logout, a new password or a deactivation."""

    def __init__(self) -> None:
        super().__init__("This login has ended. Please log in again.")


class InvalidCredentials(Unauthenticated):
    """The email or the password is incorrect. The message never says which."""

    def __init__(self) -> None:
        super().__init__("The email or the password is incorrect.")


class InvalidGrant(InvalidCredentials):
    """Invalid credentials in an OAuth2 password form, with the members that RFC 6749, section 5.2 requires."""

    def __init__(self) -> None:
        super().__init__()
        self.extensions = {"error": "invalid_grant", "error_description": str(self)}


class PermissionDenied(BookingError):
    """The account is active but lacks the required role or ownership."""


class UserNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("The account does not exist.")


class EventNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("The event does not exist or is not visible to you.")


class BookingNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("The booking does not exist or is not visible to you.")


class InvalidFields(BookingError):
    """Fields that are valid on their own but contradict the rest of the record. `fields` maps names to messages."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {message}" for name, message in fields.items()))
        self.fields = fields


class InvalidToken(BookingError):
    def __init__(self) -> None:
        super().__init__("The token is invalid, was already used, or has expired. Request a new one.")


class WrongPassword(BookingError):
    def __init__(self) -> None:
        super().__init__("The current password is incorrect.")


class EmailTaken(BookingError):
    def __init__(self) -> None:
        super().__init__("An account with this email already exists.")


class LastOrganizer(BookingError):
    """The account must keep its role and access because no other active organizer would remain."""

    def __init__(self) -> None:
        super().__init__("This is the last active organizer. Make another account an organizer first.")


class StaleVersion(BookingError):
    def __init__(self) -> None:
        super().__init__("The resource has changed since you read it. Fetch it again and retry.")


class EventStarted(BookingError):
    """The event has started. The message says what is no longer possible."""


class EventNotPublished(BookingError):
    def __init__(self) -> None:
        super().__init__("The event is a draft. Delete it instead of cancelling it.")


class EventCancelled(BookingError):
    def __init__(self) -> None:
        super().__init__("The event is cancelled.")


class BookingCancelled(BookingError):
    def __init__(self) -> None:
        super().__init__("The booking is cancelled.")


class EventNotOpen(BookingError):
    """The event is not open for booking. The message says why."""


class SoldOut(BookingError):
    """Fewer tickets are left than requested."""

    def __init__(self, tickets_available: int) -> None:
        left = {0: "No tickets are", 1: "Only 1 ticket is"}.get(
            tickets_available, f"Only {tickets_available} tickets are"
        )
        super().__init__(f"{left} left.", tickets_available=tickets_available)


class CapacityBelowBooked(BookingError):
    """The new capacity is below the number of tickets already booked."""

    def __init__(self, tickets_booked: int) -> None:
        super().__init__(
            f"Must be at least {tickets_booked}, the number of booked tickets.",
            tickets_booked=tickets_booked,
        )


class IdempotencyKeyReused(BookingError):
    def __init__(self) -> None:
        super().__init__("This idempotency key was already used for a different request. Choose a new key.")


class TooManyTickets(BookingError):
    """More tickets than the event allows per booking."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A booking for this event can have at most {limit} {'ticket' if limit == 1 else 'tickets'}.",
            max_tickets_per_booking=limit,
        )
