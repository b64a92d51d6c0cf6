"""What can go wrong in the trade, as facts, free of HTTP.

    BookingError
    ├── Unauthenticated          nobody, or nobody we can believe
    │   └── InvalidCredentials   wrong e-mail or password
    │       └── InvalidGrant     the same, said to an OAuth2 client
    ├── NotAllowed               known, but not entitled
    ├── EventNotFound
    ├── BookingNotFound
    ├── EmailTaken
    ├── EventNotOpen             draft, cancelled, started, or outside its booking window
    ├── SoldOut                  fewer tickets left than asked for
    └── TooManyTickets           more than the event allows in one booking

`str(error)` is a sentence for the person who asked. Which status code and `code` each becomes stands in
`bookings_api.http.problems`.
"""


class BookingError(Exception):
    """Base of every error of the domain; `facts` are values that a program may want beside the sentence."""

    def __init__(self, sentence: str, **facts: object) -> None:
        super().__init__(sentence)
        self.facts = facts


class Unauthenticated(BookingError):
    """The request carries no valid access token."""


class InvalidCredentials(Unauthenticated):
    """E-mail and password do not belong together; never says which of the two is wrong."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class InvalidGrant(InvalidCredentials):
    """Wrong credentials in an OAuth2 password form; with the members that RFC 6749, section 5.2 asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = {"error": "invalid_grant", "error_description": str(self)}


class NotAllowed(BookingError):
    """The account is known and active, but its role or ownership does not permit this."""


class EventNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("There is no such event.")


class BookingNotFound(BookingError):
    def __init__(self) -> None:
        super().__init__("There is no such booking.")


class EmailTaken(BookingError):
    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists already.")


class EventNotOpen(BookingError):
    """The event takes no bookings now; the sentence says why."""


class SoldOut(BookingError):
    """Fewer tickets are left than were asked for."""

    def __init__(self, tickets_available: int) -> None:
        left = {0: "No tickets are", 1: "Only 1 ticket is"}.get(
            tickets_available, f"Only {tickets_available} tickets are"
        )
        super().__init__(f"{left} left.", tickets_available=tickets_available)


class TooManyTickets(BookingError):
    """More tickets than the event allows in one booking."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"At most {limit} {'ticket' if limit == 1 else 'tickets'} can be booked at once.",
            max_tickets_per_booking=limit,
        )
