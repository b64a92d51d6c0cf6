"""Rules about an event's times that involve several fields."""

from datetime import datetime

from bookings_api.models import Event


def time_problems(event: Event, *, now: datetime) -> dict[str, str]:
    """Map each field with an invalid time to a message. Empty if all times are valid."""
    problems = {}
    if event.starts_at <= now:
        problems["starts_at"] = "Must be in the future."
    if event.ends_at <= event.starts_at:
        problems["ends_at"] = "Must be later than starts_at."
    opens, closes = event.booking_opens_at, event.booking_closes_at
    if opens and opens >= event.starts_at:
        problems["booking_opens_at"] = "Must be earlier than starts_at."
    if closes and closes > event.starts_at:
        problems["booking_closes_at"] = "Must not be later than starts_at."
    elif opens and closes and closes <= opens:
        problems["booking_closes_at"] = "Must be later than booking_opens_at."
    return problems
