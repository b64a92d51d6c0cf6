"""Events and bookings as iCalendar, and the payloads that emails and calendars share."""
