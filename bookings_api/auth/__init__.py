"""Signup, login and passwords."""
