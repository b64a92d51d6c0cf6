"""Domain errors, independent of HTTP.

    BookingError
    ├── Unauthenticated          nobody, or nobody we can believe
    │   ├── LoginChanged         the login is over, or the account is not what it was
    │   └── InvalidCredentials   wrong e-mail or password
    │       └── InvalidGrant     the same, said to an OAuth2 client
    ├── NotAllowed               known, but not entitled
    ├── UserNotFound
    ├── EventNotFound
    ├── BookingNotFound
    ├── InvalidFields            each sensible by itself, but not with the rest of the record
    ├── InvalidToken             a mailed token that is none, spent or expired
    ├── WrongPassword            not the present password of the account
    ├── EmailTaken
    ├── LastOrganizer            nobody could manage the events any more
    ├── StaleVersion             changed by somebody else since the client read it
    ├── EventNotOpen             draft, cancelled, started, or outside its booking window
    ├── EventStarted                started: its times stand, and it cannot be cancelled
    ├── EventNotPublished        a draft, which nobody can be told to be cancelled
    ├── EventCancelled
    ├── BookingCancelled
    ├── SoldOut                  fewer tickets left than asked for
    ├── CapacityBelowBooked      fewer seats than are booked
    ├── TooManyTickets           more than the event allows in one booking
    ├── RequestInFlight          the same request is being worked on at this moment
    └── IdempotencyKeyReused     the key was sent with another request before

`str(error)` is a sentence for the person who asked. Which status code and `code` each becomes stands in
`bookings_api.http.problems`.
"""

from collections.abc import Mapping


class BookingError(Exception):
    """Base of every error of the domain; `extensions` are values that a program may want beside the sentence."""

    def __init__(self, sentence: str, **extensions: object) -> None:
        super().__init__(sentence)
        self.extensions = extensions


class Unauthenticated(BookingError):
    """The request carries no valid access token."""


class LoginChanged(Unauthenticated):
    """The login is over, or its account is not what it was when it was read; nothing was done."""

    def __init__(self) -> None:
        super().__init__("This login is over, or its account has changed; please try again.")


class InvalidCredentials(Unauthenticated):
    """E-mail and password do not belong together; never says which of the two is wrong."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class InvalidGrant(InvalidCredentials):
    """Wrong credentials in an OAuth2 password form; with the members that RFC 6749, section 5.2 asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.extensions = {"error": "invalid_grant", "error_description": str(self)}


class NotAllowed(BookingError):
    """The account is known and active, but its role or ownership does not permit this."""


class UserNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("There is no such account.")


class EventNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("There is no such event.")


class BookingNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("There is no such booking.")


class InvalidFields(BookingError):
    """Fields that do not fit the rest of their record; `fields` has a sentence for each."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {sentence}" for name, sentence in fields.items()))
        self.fields = fields


class InvalidToken(BookingError):
    def __init__(self) -> None:
        super().__init__("The token is not valid, was used before, or has expired.")


class WrongPassword(BookingError):
    def __init__(self) -> None:
        super().__init__("This is not the present password.")


class EmailTaken(BookingError):
    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists already.")


class LastOrganizer(BookingError):
    """An account that cannot lose its role or access, because no other active organizer would be left."""

    def __init__(self) -> None:
        super().__init__("This is the last active organizer.")


class StaleVersion(BookingError):
    def __init__(self) -> None:
        super().__init__("It has been changed since; please read it again.")


class EventStarted(BookingError):
    """The event has started; the sentence says what that rules out."""


class EventNotPublished(BookingError):
    def __init__(self) -> None:
        super().__init__("The event is a draft; delete it instead.")


class EventCancelled(BookingError):
    def __init__(self) -> None:
        super().__init__("The event is cancelled.")


class BookingCancelled(BookingError):
    def __init__(self) -> None:
        super().__init__("The booking is cancelled.")


class EventNotOpen(BookingError):
    """The event takes no bookings now; the sentence says why."""


class SoldOut(BookingError):
    """Fewer tickets are left than were asked for."""

    def __init__(self, tickets_available: int) -> None:
        left = {0: "No tickets are", 1: "Only 1 ticket is"}.get(
            tickets_available, f"Only {tickets_available} tickets are"
        )
        super().__init__(f"{left} left.", tickets_available=tickets_available)


class CapacityBelowBooked(BookingError):
    """The event cannot have fewer seats than are booked."""

    def __init__(self, tickets_booked: int) -> None:
        super().__init__(f"{tickets_booked} tickets are booked already.", tickets_booked=tickets_booked)


class RequestInFlight(BookingError):
    def __init__(self) -> None:
        super().__init__("A request with this idempotency key is being worked on. Please try again.")


class IdempotencyKeyReused(BookingError):
    def __init__(self) -> None:
        super().__init__("This idempotency key was sent with another request before.")


class TooManyTickets(BookingError):
    """More tickets than the event allows in one booking."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"At most {limit} {'ticket' if limit == 1 else 'tickets'} can be booked at once.",
            max_tickets_per_booking=limit,
        )
