"""Events and bookings as iCalendar."""
