"""Browsing and managing events."""
