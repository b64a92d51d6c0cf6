"""Passwords, tokens, logins and one-time tokens, shared by auth and users."""
