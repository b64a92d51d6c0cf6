"""Booking tickets, changing and cancelling bookings, without ever overselling an event."""
