"""Errors that concern events, their teams and their ticket types."""

from bookings_api.errors.base import DomainError


class TeamMemberNotFound(DomainError):
    message = "This person is not on the event's team."


class EventNotFound(DomainError):
    message = "The event does not exist or is not visible to you."


class TicketTypeNotFound(DomainError):
    message = "The ticket type does not exist or is not visible to you."


class AlreadyOnTeam(DomainError):
    message = "This person already organizes the event or is on its team."


class EventStarted(DomainError):
    message = "The event has started. Its start time can no longer be changed."


class EventEnded(DomainError):
    """The event has ended, so this change is no longer possible."""


class EventNotPublished(DomainError):
    message = "The event is a draft. Delete it instead of cancelling it."


class EventCancelled(DomainError):
    message = "The event is cancelled."


class TicketTypeInUse(DomainError):
    """The ticket type cannot be deleted. The message says why."""


class CapacityBelowBooked(DomainError):
    """The new capacity is below the number of tickets already booked or held."""

    def __init__(self, tickets_booked: int, tickets_held: int = 0) -> None:
        taken = "booked and held" if tickets_held else "booked"
        message = f"Must be at least {tickets_booked + tickets_held}, the number of {taken} tickets."
        super().__init__(message, tickets_booked=tickets_booked, tickets_held=tickets_held)
