"""Errors that concern bookings and payments."""

from uuid import UUID

from bookings_api.errors.accounts import EmailNotVerified
from bookings_api.errors.base import DomainError


class BookingNotFound(DomainError):
    message = "The booking does not exist or is not visible to you."


class UnverifiedBuyer(EmailNotVerified):
    message = "Verify your email before you book. The token is in the email that you got when you signed up."


class BookingCancelled(DomainError):
    message = "The booking is cancelled."


class HoldExpired(DomainError):
    message = "The booking has expired."


class BookingNotHeld(DomainError):
    message = "Only a booking with the status held can be extended."


class AlreadyExtended(DomainError):
    message = "The hold was already extended. It can be extended only once."


class BookingNotConfirmed(DomainError):
    message = "The booking is not confirmed."


class PaymentRequired(DomainError):
    """The booking must be paid before it is confirmed, or before more tickets are added."""

    message = "The booking must be paid. Confirm it with a payment."


class PaymentMismatch(DomainError):
    """The payment does not match the booking. The message says why."""

    message = "The payment differs from the amount due."


class AlreadyPaid(DomainError):
    message = "The booking was already confirmed, so it needs no payment."


class OthersWaiting(DomainError):
    """Other people wait for these tickets, so they are not for sale."""

    message = "Others are waiting for these tickets."


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


class ExternalIdTaken(DomainError):
    message = "Your organization has a different booking with this external ID."


class TooManyForPerson(DomainError):
    """The person would have more tickets than the event allows."""

    def __init__(self, limit: int, booked: int) -> None:
        tickets = f"{limit} {'ticket' if limit == 1 else 'tickets'}"
        already = f"{booked} {'is' if booked == 1 else 'are'} already booked or held"
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
