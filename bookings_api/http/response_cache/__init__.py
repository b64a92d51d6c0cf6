"""Caches responses to anonymous reads of events."""
