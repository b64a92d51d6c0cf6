"""`/bookings`, and the lists of an event's bookings and payments."""

from bookings_api.bookings.routes import bookings, emails, holds, lists, orders
from bookings_api.bookings.routes.blueprint import blp

__all__ = ["blp", "bookings", "emails", "holds", "lists", "orders"]
