"""Shared by auth and users: passwords, tokens, logins, one-time tokens."""
