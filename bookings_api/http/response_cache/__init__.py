"""Caches responses to anonymous reads."""
