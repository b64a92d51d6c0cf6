"""Bookings: taking tickets, never more than there are."""
