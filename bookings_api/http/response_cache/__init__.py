"""Cached responses to anonymous reads."""
