"""Book tickets, and change and cancel bookings, without overselling an event."""
