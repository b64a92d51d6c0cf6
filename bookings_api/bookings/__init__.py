"""Booking tickets, and changing and cancelling bookings, without overselling events."""
