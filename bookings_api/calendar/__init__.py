"""Renders events and bookings as iCalendar files, and as calendar invitations for emails."""
