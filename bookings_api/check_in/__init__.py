"""The door list for check-in helpers."""
