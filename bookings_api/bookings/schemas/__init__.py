"""Schemas for bookings, their emails and their payments."""
