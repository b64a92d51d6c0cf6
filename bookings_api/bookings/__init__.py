"""Bookings: tickets taken from an event and given back, never more than the event has."""
