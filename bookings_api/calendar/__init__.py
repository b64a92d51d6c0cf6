"""Events and bookings as iCalendar files and email invitations."""
