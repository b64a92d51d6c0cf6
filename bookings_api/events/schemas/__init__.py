"""Schemas for events."""
