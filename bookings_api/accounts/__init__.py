"""Passwords, tokens, logins, actors and memberships, shared by several features."""
